"""The plots of queries over time: arrivals on a schedule, the highest rate that holds, a command meanwhile."""

from collections.abc import Sequence

from bench.page.figures import Figure
from bench.page.measured import Measured, measured, read_queries, sentences_of
from bench.page.plots import Bar, Point, bars, lines
from bench.queries.during import During
from bench.queries.report import QueriesFigures
from bench.queries.slo import SloSearch
from bench.results import Result
from bench.tables import number


def open_loop(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query, its newest run on a schedule of arrivals: answers a second over time."""
    newest: dict[str, Measured] = {}
    for one in measured(results):
        if one.figures.load_model.rate is not None and one.figures.during is None and one.row.series:
            newest.setdefault(one.row.query, one)
    return [
        Figure(
            title=f"{query}: answers a second over time; the dashed line is the rate of arrivals",
            svg=lines(
                [Point(series=query, x=second, y=count) for second, count in enumerate(one.row.series, 1)],
                axes=("seconds from the start", "queries/s"),
                reference=one.figures.load_model.rate,
            ),
            sentences=sentences_of([one], "open-loop", {query}),
            results=[one.result],
        )
        for query, one in newest.items()
    ]


def during(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query and command, its newest run: latency second by second, the command's time shaded."""
    newest: dict[tuple[str, str], tuple[Measured, During]] = {}
    for result, figures in read_queries(results):
        if figures.during is not None and figures.rows:
            one = Measured(result, figures, figures.rows[-1])
            newest.setdefault((one.row.query, figures.during.command), (one, figures.during))
    return [_while(*found) for found in newest.values()]


def _while(one: Measured, command: During) -> Figure:
    timeline = one.row.rounds[0].timeline
    points = [
        Point(series=name, x=second, y=value)
        for name, field in (("p50", "p50_ms"), ("p99", "p99_ms"), ("longest", "max_ms"))
        for second, at in enumerate(timeline)
        if (value := getattr(at, field))
    ]
    return Figure(
        title=f"{one.row.query}: latency of the queries due in each second, shaded while `{command.command}` ran",
        svg=lines(
            points, axes=("seconds from the start", "ms"), span=(command.began_s, command.ended_s), scale="log",
        ),
        sentences=sentences_of([one], "during", {one.row.query}),
        results=[one.result],
    )  # fmt: skip


def highest_rates(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query and goal, the newest search: the highest rate that held, and what a closed loop answers."""
    newest: dict[tuple[str, str], tuple[Result, QueriesFigures, SloSearch]] = {}
    for result, figures in read_queries(results):
        for one in figures.slo:
            newest.setdefault((one.query, one.text), (result, figures, one))
    return [_highest(*found) for found in newest.values() if found[2].rate is not None]


def _highest(result: Result, figures: QueriesFigures, one: SloSearch) -> Figure:
    drawn = [
        Bar(name=one.text, value=one.rate or 0.0, text=number(one.rate or 0.0), is_ours=True),
        Bar(name="closed loop", value=one.closed_qps, text=number(one.closed_qps)),
    ]
    return Figure(
        title=f"{one.query}: the highest rate at which {one.text} holds, {figures.connections} connections",
        svg=bars(drawn, axis="queries/s"),
        sentences=[said.text for said in figures.sentences if (said.section, said.about) == ("slo", one.query)],
        results=[result],
    )
