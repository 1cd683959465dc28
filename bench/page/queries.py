"""The plots of queries in a closed loop: what a layer gives, latencies, more connections, pgbench."""

from collections.abc import Sequence
from itertools import groupby

from bench.comparison import Spread
from bench.page.figures import Figure
from bench.page.measured import Measured, measured, read_queries, sentences_of, sources_of
from bench.page.plots import Bar, Point, bars, lines
from bench.queries.pgbench import PgbenchComparison
from bench.queries.report import QueriesFigures
from bench.queries.rows import Row, by_layer
from bench.results import Result
from bench.tables import number

PERCENTILES = ("p50", "p95", "p99", "max")


def layers(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each question, the queries a second of each layer, on a logarithmic scale."""
    shown = _newest_layers(results)
    drawn = [_bar(one, "qps", number(one.row.qps or 0.0)) for one in shown]
    about = {one.row.question for one in shown}
    return _of_layers("Queries a second by layer, the mart coloured", drawn, "queries/s", shown, "layers", about)


def latency(results: Sequence[Result]) -> list[Figure]:
    """Draw the latencies of each layer's queries: the p99 as a bar, or what fewer answers gave, over the rounds."""
    shown = [one for one in _newest_layers(results) if one.row.p50_ms]
    drawn = [_bar(one, _highest_percentile(one.row), _latencies(one.row)) for one in shown]
    about = {one.row.query for one in shown}
    return _of_layers("Latency of a query in ms: p50 · p95 · p99 · max", drawn, "ms", shown, "latency", about)


def _bar(one: Measured, figure: str, text: str) -> Bar:
    """Return a bar of the median of the rounds with their range."""
    spread = one.row.spread(figure)
    assert spread is not None  # noqa: S101 - rows without the figure are not shown
    return Bar(
        name=one.row.query, value=spread.median, text=text, is_ours=one.row.layer == "mart", low=spread.low,
        high=spread.high,
    )  # fmt: skip


def _of_layers(
    title: str, drawn: Sequence[Bar], axis: str, shown: Sequence[Measured], section: str, about: set[str]
) -> list[Figure]:
    if not shown:
        return []
    run = f"{shown[0].figures.connections} connections, {shown[0].figures.driver} (logarithmic scale)"
    sentences, svg = sentences_of(shown, section, about), bars(drawn, axis=axis, scale="log")
    return [Figure(title=f"{title}, {run}", svg=svg, sentences=sentences, results=sources_of(shown))]


def connections(results: Sequence[Result]) -> list[Figure]:
    """Draw queries a second by connections, for the queries that were measured with more than two numbers of them.

    Points of unlike circumstances make no curve: those like the newest are drawn.
    """
    newest: dict[tuple[str, str, int], Measured] = {}
    first: dict[str, Measured] = {}
    for one in measured(results):
        if one.figures.is_open or not one.is_like(first.setdefault(one.row.query, one)):
            continue
        key = (one.row.query, one.figures.driver, one.figures.connections)
        known = newest.get(key)
        # Of one file, the row with the most answers; of two files, the newer one.
        if known is None or (known.result is one.result and one.row.done > known.row.done):
            newest[key] = one
    figures = []
    # Queries of unlike speed share no scale.
    for query, same in groupby(sorted(newest.items()), key=lambda item: item[0][0]):
        curves = [list(curve) for _, curve in groupby((one for _, one in same), key=lambda one: one.figures.driver)]
        shown = [one for curve in curves if len(curve) > 2 for one in curve]
        if not shown:
            continue
        points = [_point(one) for one in shown]
        best = max(shown, key=lambda one: one.row.qps or 0.0)
        steps = sorted({point.x for point in points})
        figures.append(
            Figure(
                title=f"{query}: queries a second by connections",
                svg=lines(points, axes=("connections", "queries/s"), steps=steps),
                sentences=[
                    f"The most is {best.row.qps:,.0f} queries/s with {best.figures.connections} connections "
                    f"({best.figures.driver})."
                ],
                results=sources_of(shown),
            )
        )
    return figures


def _point(one: Measured) -> Point:
    spread = one.row.spread("qps")
    assert spread is not None  # noqa: S101 - rows without a rate are not measured
    return Point(
        series=one.figures.driver, x=one.figures.connections, y=spread.median, text=f"{spread.median:,.0f}",
        low=spread.low, high=spread.high,
    )  # fmt: skip


def compared_with_pgbench(results: Sequence[Result]) -> list[Figure]:
    """Draw the harness's rate and pgbench's, for each query and driver the newest comparison."""
    newest: dict[tuple[str, str], tuple[Result, QueriesFigures, PgbenchComparison]] = {}
    for result, figures in read_queries(results):
        # On a schedule both answer what arrives: their rates say nothing.
        for one in () if figures.is_open else figures.pgbench:
            if one.pgbench:  # else it says why there is none
                newest.setdefault((one.query, figures.driver), (result, figures, one))
    return [_comparison(*found) for found in newest.values()]


def _comparison(result: Result, figures: QueriesFigures, one: PgbenchComparison) -> Figure:
    drawn = []
    for name, runs, is_ours in (("pgbench -M prepared", one.pgbench, False), ("harness", one.harness, True)):
        qps = Spread.of([run.qps for run in runs])
        text = number(qps.median)
        drawn.append(Bar(name=name, value=qps.median, text=text, is_ours=is_ours, low=qps.low, high=qps.high))
    rounds = f"{len(one.harness)} alternating rounds"
    return Figure(
        title=f"{one.query}, {figures.driver}: queries a second of the harness and of pgbench, {rounds}",
        svg=bars(drawn, axis="queries/s"),
        sentences=[said.text for said in figures.sentences if (said.section, said.about) == ("pgbench", one.query)],
        results=[result],
    )


def _newest_layers(results: Sequence[Result]) -> list[Measured]:
    """Return, for each question, the layers of the newest result that has more than one of them."""
    chosen: dict[str, list[Measured]] = {}
    for result, figures in read_queries(results):
        if figures.is_open or figures.load_model.mix:
            continue
        for question, found in by_layer([row for row in figures.rows if row.done and row.qps]).items():
            if len(found) > 1:
                chosen.setdefault(question, [Measured(result, figures, row) for row in found.values()])
    return [one for _, some in sorted(chosen.items()) for one in some]


def _highest_percentile(row: Row) -> str:
    return next(name for name in ("p99_ms", "p95_ms", "p50_ms") if getattr(row, name))


def _latencies(row: Row) -> str:
    return " · ".join(number(value) for name in PERCENTILES if (value := getattr(row, f"{name}_ms"))) + " ms"
