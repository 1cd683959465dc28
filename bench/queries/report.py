"""What measured queries look like: a table, and the figures that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.table import Table

from bench.comparison import Spread
from bench.queries.drivers import DRIVERS
from bench.queries.during import During
from bench.queries.measure import ANCHOR
from bench.queries.pgbench import PgbenchComparison
from bench.queries.rows import Row
from bench.queries.run import Mix, Run
from bench.queries.sentences import sentences
from bench.queries.slo import SloSearch
from bench.results import Sentence
from bench.tables import number, optional, table

SPARKLINE_WIDTH = 20
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class LoadModel:
    """How queries arrived: in a closed loop, or at random at `rate` a second; `mix` has the weights of a mix."""

    kind: str
    rate: float | None
    warm_up_seconds: float | None
    pipeline: int | None
    mix: dict[str, int] | None


@dataclass(frozen=True)
class Anchor:
    """The query of fixed cost that was run beside each row, and for how long."""

    sql: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class QueriesFigures:
    """The figures of a run: its options, each row with all its rounds, and what they say in words.

    A row that is limited by time alone takes `seconds_limit`, a slow one up to `most_seconds`; a query fails after
    `timeout_seconds`.
    """

    driver: str
    connections: int
    processes: int
    rounds: int
    seconds_limit: float
    most_seconds: float
    timeout_seconds: float
    seed: int
    load_model: LoadModel
    anchor: Anchor | None
    rows: tuple[Row, ...]
    pgbench: tuple[PgbenchComparison, ...]
    slo: tuple[SloSearch, ...]
    during: During | None
    sentences: tuple[Sentence, ...]

    @property
    def is_open(self) -> bool:
        """Whether queries arrived on a schedule."""
        return self.load_model.kind == "open"


def figures(
    rows: Sequence[Row], run: Run, comparisons: Sequence[PgbenchComparison] = (), mix: Mix | None = None, *,
    slo: Sequence[SloSearch] = (), during: During | None = None,
) -> QueriesFigures:  # fmt: skip
    """Return the figures of a run."""
    weights = None if mix is None else {one.name: w for one, w in zip(mix.benchmarks, mix.weights, strict=True)}
    pipeline = run.pipeline if DRIVERS[run.driver].is_pipelined else None
    is_open = run.rate is not None or bool(slo)
    model = LoadModel("open" if is_open else "closed", run.rate, run.warm_up, pipeline, weights)
    return QueriesFigures(
        driver=run.driver, connections=run.connections, processes=run.process_count,
        rounds=max((len(row.rounds) for row in rows), default=0), seconds_limit=run.seconds,
        most_seconds=run.most_seconds or run.seconds, timeout_seconds=run.timeout, seed=run.seed, load_model=model,
        anchor=Anchor(ANCHOR.sql, run.anchor_seconds) if run.anchor_seconds and not (slo or during) else None,
        rows=tuple(rows), pgbench=tuple(comparisons), slo=tuple(slo), during=during,
        sentences=tuple(sentences(rows, run, comparisons, slo, during, is_mix=mix is not None)),
    )  # fmt: skip


def rows_table(rows: Sequence[Row], run: Run) -> Table:
    """Return the table of measured rows: medians of their rounds with the range of rate and p99, latencies in ms."""
    has_series = any(len(row.series) > 1 for row in rows)
    is_open = any(row.unsent is not None for row in rows)
    rounds = max((len(row.rounds) for row in rows), default=1)
    ranges = rounds > 1
    numbers = ["n", "done", "seconds", "QPS", *(["lowest to highest"] if ranges else []), "p50 ms", "p95 ms", "p99 ms"]
    numbers += [
        *(["lowest to highest"] if ranges else []),
        "max ms",
        "errors",
        *(["late", "unsent"] if is_open else []),
    ]
    cells = (
        [
            row.query,
            row.layer,
            "" if row.n is None else f"{row.n:,}",
            f"{row.done:,}",
            f"{row.seconds:.3f}",
            optional(row.qps, ",.1f"),
            *([_range(row.spread("qps"))] if ranges else []),
            *(optional(value, ",.3f") for value in (row.p50_ms, row.p95_ms, row.p99_ms)),
            *([_range(row.spread("p99_ms"))] if ranges else []),
            optional(row.max_ms, ",.3f"),
            f"{row.errors:,}",
            *((optional(row.late, ","), optional(row.unsent, ",")) if is_open else ()),
            *([sparkline(row.series)] if has_series else []),
        ]
        for row in rows
    )
    title = f"{_load_title(run, is_open=is_open)}, {run.seconds:g} s a row" + (
        f"; medians of {rounds} rounds" if ranges else ""
    )
    return table(title, ["query", "layer"], numbers, cells, ["QPS each second"] if has_series else [])


def sparkline(series: Sequence[int], width: int = SPARKLINE_WIDTH) -> str:
    """Draw figures a second as bars from zero; more seconds than the width are averaged."""
    if len(series) > width:
        cuts = [at * len(series) // width for at in range(width + 1)]
        series = [sum(series[start:end]) // (end - start) for start, end in pairwise(cuts)]
    most = max(series, default=0) or 1
    return "".join(BARS[value * (len(BARS) - 1) // most] for value in series)


def _range(spread: Spread | None) -> str:
    return "-" if spread is None else f"{number(spread.low)} to {number(spread.high)}"


def _load_title(run: Run, *, is_open: bool) -> str:
    loop = "open loop at the rate that was found" if is_open else "closed loop"
    loop = loop if run.rate is None else f"open loop of {run.rate:,g} queries a second"
    pipelined = f" of {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    processes = "1 process" if run.process_count == 1 else f"{run.process_count} processes"
    return f"{loop}, {run.connections} connections, {processes}, {run.driver}{pipelined}"
