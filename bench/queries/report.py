"""What measured queries look like: a table, sentences, and the figures that are kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from rich.table import Table

from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row
from bench.queries.pgbench import PgbenchComparison
from bench.queries.run import Mix, Run
from bench.results import Sentence
from bench.tables import listed, number, optional, table

SPARKLINE_WIDTH = 20
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class LoadModel:
    """How queries arrived: in a closed loop, or at `rate` a second; `mix` has the weights of a mix."""

    kind: str
    rate: float | None
    warm_up_seconds: float | None
    pipeline: int | None
    mix: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class QueriesFigures:
    """The figures of a run: its options, raw numbers, and what they say in words.

    Each row has its latencies as `percentiles` (ms), its answers each full second as `series`, and the client's
    processor time a query as `overhead_us` (null for the parts of a mix, which share it).
    """

    driver: str
    connections: int
    processes: int
    seconds_limit: float
    seed: int
    load_model: LoadModel
    rows: tuple[Row, ...]
    pgbench: tuple[PgbenchComparison, ...]
    sentences: tuple[Sentence, ...]

    @property
    def is_open(self) -> bool:
        """Whether queries arrived on a schedule."""
        return self.load_model.kind == "open"


def figures(
    rows: Sequence[Row], run: Run, comparisons: Sequence[PgbenchComparison] = (), mix: Mix | None = None
) -> QueriesFigures:
    """Return the figures of a run."""
    weights = None if mix is None else {one.name: w for one, w in zip(mix.benchmarks, mix.weights, strict=True)}
    pipeline = run.pipeline if DRIVERS[run.driver].is_pipelined else None
    model = LoadModel("closed" if run.rate is None else "open", run.rate, run.warm_up, pipeline, weights)
    sentences = [*_load_sentences(rows, run), *(one for some in comparisons for one in _pgbench_sentences(some, run))]
    if mix is None:
        sentences += [*_layer_sentences(rows), *_latency_sentence(rows)]
    return QueriesFigures(
        driver=run.driver, connections=run.connections, processes=run.process_count, seconds_limit=run.seconds,
        seed=run.seed, load_model=model, rows=tuple(rows), pgbench=tuple(comparisons), sentences=tuple(sentences),
    )  # fmt: skip


def rows_table(rows: Sequence[Row], run: Run) -> Table:
    """Return the table of measured rows, latencies in ms."""
    has_series = any(len(row.series) > 1 for row in rows)
    numbers = ["n", "done", "seconds", "QPS", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors"]
    numbers += ["late", "unsent"] if run.rate is not None else []
    cells = (
        [
            row.query,
            row.layer,
            "" if row.n is None else f"{row.n:,}",
            f"{row.done:,}",
            f"{row.seconds:.3f}",
            f"{row.qps:,.1f}",
            *(optional(value, ",.3f") for value in (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms)),
            f"{row.errors:,}",
            *(optional(value, ",") for value in ((row.late, row.unsent) if run.rate is not None else ())),
            *([sparkline(row.series)] if has_series else []),
        ]
        for row in rows
    )
    title = f"{_load_title(run)}, at most {run.seconds:g} s a row"
    return table(title, ["query", "layer"], numbers, cells, ["QPS each second"] if has_series else [])


def sparkline(series: Sequence[int], width: int = SPARKLINE_WIDTH) -> str:
    """Draw figures a second as bars from zero; more seconds than the width are averaged."""
    if len(series) > width:
        cuts = [at * len(series) // width for at in range(width + 1)]
        series = [sum(series[start:end]) // (end - start) for start, end in pairwise(cuts)]
    most = max(series, default=0) or 1
    return "".join(BARS[value * (len(BARS) - 1) // most] for value in series)


def by_layer(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Return, for each question, each layer's row with the most answers."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        layers = found.setdefault(row.question, {})
        if row.layer not in layers or row.done >= layers[row.layer].done:
            layers[row.layer] = row
    return found


def _load_title(run: Run) -> str:
    loop = "closed loop" if run.rate is None else f"open loop of {run.rate:,g} queries a second"
    pipelined = f" of {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    processes = "1 process" if run.process_count == 1 else f"{run.process_count} processes"
    return f"{loop}, {run.connections} connections, {processes}, {run.driver}{pipelined}"


def _load_sentences(rows: Sequence[Row], run: Run) -> Iterator[Sentence]:
    """Say of an open loop how it kept up, and of each query's longest row what the client's own time was."""
    for _, some in groupby(rows, key=lambda row: row.query):
        same = [row for row in some if row.overhead_us is not None]
        for row in same if run.rate is not None else ():
            if row.done and row.late is not None:
                late = f"{row.late:,} sent over 1 ms late ({row.late / row.done:.1%}), {row.unsent:,} unsent"
                yield Sentence(
                    "open-loop", row.query,
                    f"{row.title}: {row.qps:,.0f} of {run.rate:,g} queries a second answered; latency counts from the "
                    f"scheduled time (p50 {row.p50_ms:,.3f} ms, p99 {row.p99_ms:,.3f} ms); {late}.",
                )  # fmt: skip
            if row.unsent:
                yield Sentence(
                    "open-loop", row.query,
                    f"{row.title}: queries that were not sent have no latency, so the percentiles are too good. "
                    "Lower --rate, or raise --connections, until all are sent.",
                )  # fmt: skip
        for row in sorted(same, key=lambda row: row.done)[-1:]:
            used = row.overhead_us or 0.0
            yield Sentence(
                "client", row.query,
                f"{row.title}: the client used {used:,.1f} µs of processor time a query, "
                f"{used * row.qps / 1e6:.2f} of a core.",
            )  # fmt: skip


def _layer_sentences(rows: Sequence[Row]) -> Iterator[Sentence]:
    """Say, for each question, what its mart gives over the layers below."""
    for question, layers in sorted(by_layer(rows).items()):
        mart = layers.get("mart")
        gains = [
            f"{number(mart.qps / row.qps)} times as many as {layer}"
            for layer, row in layers.items()
            if mart is not None and row is not mart and row.qps > 0
        ]
        if gains:
            yield Sentence(
                "layers", question, f"{question}: in queries a second, the mart answers {listed(gains)}."
            )  # fmt: skip


def _latency_sentence(rows: Sequence[Row]) -> Iterator[Sentence]:
    """Say how long the slowest of the marts' queries takes, or the slowest of all where there is no mart."""
    longest = [row for layers in by_layer(rows).values() for row in layers.values() if row.done]
    marts = [row for row in longest if row.layer == "mart"] or longest
    for row in sorted(marts, key=lambda row: row.p99_ms or 0.0)[-1:]:
        yield Sentence(
            "latency", row.query,
            f"{row.title}: 99 of 100 answers came within {number(row.p99_ms or 0)} ms, half of them within "
            f"{number(row.p50_ms or 0)} ms" + (": the slowest of the marts." if len(marts) > 1 else "."),
        )  # fmt: skip


def _pgbench_sentences(comparison: PgbenchComparison, run: Run) -> Iterator[Sentence]:
    """Say how the harness compares with pgbench, every round shown, and what either costs a query."""
    name, rounds = comparison.query, list(zip(comparison.harness, comparison.pgbench, strict=True))
    pipelined = f", both with {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    if run.rate is None:
        shown = ", ".join(f"{ours.qps:,.0f} / {theirs.qps:,.0f}" for ours, theirs in rounds)
        said = f"{comparison.ratio} of pgbench's rate{pipelined} (QPS of harness / pgbench by round: {shown})"
    else:
        ours, theirs = comparison.medians("mean_ms")
        shown = ", ".join(f"{ours.mean_ms:.3f} / {theirs.mean_ms:.3f}" for ours, theirs in rounds)
        said = (
            f"mean latency {ours / theirs:.2f} of pgbench's at the same --rate{pipelined}, "
            f"which draws its arrivals at random (ms of harness / pgbench by round: {shown})"
        )
    yield Sentence("pgbench", name, f"{name}: {said}.")
    ours, theirs = comparison.medians("overhead_us")
    yield Sentence(
        "pgbench", name,
        f"{name}: client's processor time a query: harness {ours:.1f} µs, pgbench {theirs:.1f} µs, so "
        f"{ours - theirs:+.1f} µs.",
    )  # fmt: skip
