"""The plots of queries: what a layer gives, latencies, more connections, a schedule of arrivals, pgbench."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.comparison import Spread
from bench.page.figures import Figure
from bench.page.plots import Bar, Point, bars, lines
from bench.queries.pgbench import PgbenchComparison
from bench.queries.report import QueriesFigures
from bench.queries.rows import Row, by_layer
from bench.results import Result, of_kind
from bench.tables import number

LAYERS = ("staging", "core", "mart")
# A rate of less time says little, and would be next to others that say more.
LEAST_SECONDS = 0.5
PERCENTILES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Measured:
    """One row with the result that it is of, and that result's figures."""

    result: Result
    figures: QueriesFigures
    row: Row


def layers(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each question, the queries a second of each layer, on a logarithmic scale."""
    shown = _newest_layers(results)
    drawn = [
        Bar(
            name=one.row.query,
            value=one.row.qps or 0.0,
            text=number(one.row.qps or 0.0),
            is_ours=one.row.layer == "mart",
        )
        for one in shown
    ]
    about = {one.row.question for one in shown}
    return _of_layers("Queries a second by layer, the mart coloured", drawn, "queries/s", shown, "layers", about)


def latency(results: Sequence[Result]) -> list[Figure]:
    """Draw the latencies of each layer's queries: the p99 as a bar, a line from the median to the longest."""
    shown = [one for one in _newest_layers(results) if one.row.p50_ms]
    drawn = [
        Bar(
            name=one.row.query, value=one.row.p99_ms or 0.0, text=_latencies(one.row), low=one.row.p50_ms,
            high=one.row.max_ms, is_ours=one.row.layer == "mart",
        )
        for one in shown
    ]  # fmt: skip
    about = {one.row.query for one in shown}
    return _of_layers("Latency of a query in ms: p50 · p95 · p99 · max", drawn, "ms", shown, "latency", about)


def _of_layers(
    title: str, drawn: Sequence[Bar], axis: str, shown: Sequence[Measured], section: str, about: set[str]
) -> list[Figure]:
    if not shown:
        return []
    run = f"{shown[0].figures.connections} connections, {shown[0].figures.driver} (logarithmic scale)"
    sentences, svg = _sentences(shown, section, about), bars(drawn, axis=axis, scale="log")
    return [Figure(title=f"{title}, {run}", svg=svg, sentences=sentences, results=_sources(shown))]


def connections(results: Sequence[Result]) -> list[Figure]:
    """Draw queries a second by connections, for the queries that were measured with more than two numbers of them."""
    newest: dict[tuple[str, str, int], Measured] = {}
    for one in _measured(results):
        if one.figures.is_open or one.row.seconds < LEAST_SECONDS:
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
        points = [
            Point(
                series=one.figures.driver, x=one.figures.connections, y=one.row.qps or 0.0, text=f"{one.row.qps:,.0f}"
            )
            for one in shown
        ]
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
                results=_sources(shown),
            )
        )
    return figures


def open_loop(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query, its newest run on a schedule of arrivals: answers a second over time."""
    newest: dict[str, Measured] = {}
    for one in _measured(results):
        if one.figures.is_open and one.row.series:
            newest.setdefault(one.row.query, one)
    return [
        Figure(
            title=f"{query}: answers a second over time; the dashed line is the rate of arrivals",
            svg=lines(
                [Point(series=query, x=second, y=count) for second, count in enumerate(one.row.series, 1)],
                axes=("seconds from the start", "queries/s"),
                reference=one.figures.load_model.rate,
            ),
            sentences=_sentences([one], "open-loop", {query}),
            results=[one.result],
        )
        for query, one in newest.items()
    ]


def compared_with_pgbench(results: Sequence[Result]) -> list[Figure]:
    """Draw the harness's rate and pgbench's, for each query and driver the newest comparison."""
    newest: dict[tuple[str, str], tuple[Result, QueriesFigures, PgbenchComparison]] = {}
    for result, figures in _read(results):
        # On a schedule both answer what arrives: their rates say nothing.
        for one in () if figures.is_open else figures.pgbench:
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


def _read(results: Sequence[Result]) -> list[tuple[Result, QueriesFigures]]:
    return [(result, result.read(QueriesFigures)) for result in of_kind(results, "queries")]


def _measured(results: Sequence[Result]) -> list[Measured]:
    """Return all rows of all results, newest first, those that answered something."""
    return [
        Measured(result, figures, row)
        for result, figures in _read(results)
        for row in figures.rows
        # The queries of a mix wait for each other: only their total is a rate.
        if row.done and row.qps and (not figures.load_model.mix or row.layer == "mix")
    ]


def _newest_layers(results: Sequence[Result]) -> list[Measured]:
    """Return, for each question, the layers of the newest result that has more than one of them."""
    chosen: dict[str, list[Measured]] = {}
    for result, figures in _read(results):
        if figures.is_open or figures.load_model.mix:
            continue
        for question, found in by_layer([row for row in figures.rows if row.done and row.qps]).items():
            if len(found) > 1:
                rows = sorted(found.values(), key=lambda row: _depth(row.layer))
                chosen.setdefault(question, [Measured(result, figures, row) for row in rows])
    return [one for _, some in sorted(chosen.items()) for one in some]


def _sentences(some: Iterable[Measured], section: str, about: set[str]) -> list[str]:
    """Return what the results say of these questions or queries, each sentence once."""
    said = (sentence for one in some for sentence in one.figures.sentences)
    return list(dict.fromkeys(one.text for one in said if one.section == section and one.about in about))


def _depth(layer: str) -> int:
    """Return the layer's place as data flows; a layer of another name comes last."""
    return LAYERS.index(layer) if layer in LAYERS else len(LAYERS)


def _sources(some: Sequence[Measured]) -> list[Result]:
    return list({one.result.path: one.result for one in some}.values())


def _latencies(row: Row) -> str:
    return " · ".join(number(value) for name in PERCENTILES if (value := getattr(row, f"{name}_ms"))) + " ms"
