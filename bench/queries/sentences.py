"""What measured queries say in words: how a schedule was kept, what the limit was, what a layer gives, pgbench."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.comparison import Spread, paired_ratio
from bench.queries.drivers import DRIVERS
from bench.queries.during import During, phases_in_words
from bench.queries.limit import limit_in_words, limited_by
from bench.queries.measure import ENOUGH, ENOUGH_EACH
from bench.queries.pgbench import PgbenchComparison
from bench.queries.rows import Row, by_layer
from bench.queries.run import Run
from bench.queries.slo import SloSearch
from bench.results import Sentence
from bench.tables import number, optional


def sentences(
    rows: Sequence[Row], run: Run, comparisons: Sequence[PgbenchComparison], slo: Sequence[SloSearch],
    during: During | None, *, is_mix: bool,
) -> Iterator[Sentence]:  # fmt: skip
    """Yield all sentences about a run."""
    yield from _load_sentences(rows, run)
    for comparison in comparisons:
        yield from _pgbench_sentences(comparison, run)
    for one in slo:
        yield _slo_sentence(one)
    if during is not None:
        yield from _during_sentences(rows[-1], during)
    if not is_mix:
        yield from _layer_sentences(rows)
        yield from _latency_sentence(rows)
    yield from _anchor_sentence(rows)


def spread_in_words(spread: Spread) -> str:
    """Write a median with its range: 26,500 (24,100 to 27,300)."""
    if spread.low == spread.high:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"


def _load_sentences(rows: Sequence[Row], run: Run) -> Iterator[Sentence]:
    """Say of an open loop how it kept up, and of each query's longest row who the limit was."""
    for _, some in groupby(rows, key=lambda row: row.query):
        same = list(some)
        for row in same:
            yield from _open_sentences(row)
        for row in same:
            cut = next((one for one in row.rounds if one.was_cut), None)
            if cut is not None and run.most_seconds is not None:
                yield Sentence(
                    "slow", row.query,
                    f"{row.title}: {cut.done:,} answers in the {run.most_seconds:g} s of --limit, fewer than "
                    f"{max(ENOUGH, ENOUGH_EACH * run.connections)}; a percentile is given where 10 answers are beyond "
                    "it.",
                )  # fmt: skip
        for row in sorted((row for row in same if row.overhead_us is not None), key=lambda row: row.done)[-1:]:
            yield _limit_sentence(row, run)


def _open_sentences(row: Row) -> Iterator[Sentence]:
    middle = row.middle
    if middle.service is None or middle.lag is None or not row.done:
        return
    name = "99" if "99" in middle.percentiles else "50"
    parts = (optional(some.get(name), ",.3f") for some in (middle.percentiles, middle.service, middle.lag))
    latency, service, lag = parts
    late = f"{row.late or 0:,} sent over 1 ms late ({(row.late or 0) / row.done:.1%}), {row.unsent:,} unsent"
    yield Sentence(
        "open-loop", row.query,
        f"{row.title}: {optional(row.qps, ',.0f')} queries a second answered; latency counts from the scheduled time: "
        f"p{name} {latency} ms, of the service alone {service} ms, of the lag before it {lag} ms; {late}.",
    )  # fmt: skip
    if row.unsent:
        yield Sentence(
            "open-loop", row.query,
            f"{row.title}: the unsent queries count with the time that they had waited, so the percentiles are lower "
            "bounds. Lower --rate, or raise --connections, until all are sent.",
        )  # fmt: skip


def _limit_sentence(row: Row, run: Run) -> Sentence:
    """Say who the limit was, and what the client's own time was."""
    used = f"the client used {row.overhead_us or 0:,.1f} µs of processor time a query"
    limit = row.middle.limit
    if limit is None:
        return Sentence("client", row.query, f"{row.title}: {used}, {row.done} answers.")
    is_open = row.middle.service is not None
    who = limited_by(limit, run.process_count, is_open=is_open)
    return Sentence("limit", row.query, f"{row.title}: the limit is {who}. {limit_in_words(limit)}; {used}.")


def _layer_sentences(rows: Sequence[Row]) -> Iterator[Sentence]:
    """Say, for each question, what its mart gives over the layers below: the ratios of the same rounds."""
    for question, layers in sorted(by_layer(rows).items()):
        mart = layers.get("mart")
        gains = []
        for layer, row in layers.items():
            if mart is None or row is mart:
                continue
            pairs = [
                (ours.qps, theirs.qps) for ours, theirs in zip(mart.rounds, row.rounds, strict=False)
                if ours.qps and theirs.qps
            ]  # fmt: skip
            if pairs:
                ratio = paired_ratio(*map(list, zip(*pairs, strict=True)))
                gains.append(f"{spread_in_words(ratio)} times as many as {layer}")
        if gains:
            yield Sentence(
                "layers", question, f"{question}: in queries a second, the mart answers {' and '.join(gains)}."
            )  # fmt: skip


def _latency_sentence(rows: Sequence[Row]) -> Iterator[Sentence]:
    """Say how long the slowest of the marts' queries takes, or the slowest of all where there is no mart."""
    longest = [row for layers in by_layer(rows).values() for row in layers.values() if row.p99_ms is not None]
    marts = [row for row in longest if row.layer == "mart"] or longest
    for row in sorted(marts, key=lambda row: row.p99_ms or 0.0)[-1:]:
        yield Sentence(
            "latency", row.query,
            f"{row.title}: 99 of 100 answers came within {number(row.p99_ms or 0)} ms, half of them within "
            f"{number(row.p50_ms or 0)} ms" + (": the slowest of the marts." if len(marts) > 1 else "."),
        )  # fmt: skip


def _pgbench_sentences(comparison: PgbenchComparison, run: Run) -> Iterator[Sentence]:
    """Say how the harness compares with pgbench, every round shown, and what either costs a query."""
    name = comparison.query
    if comparison.ratio is None:
        yield Sentence("pgbench", name, f"{name}: not compared with pgbench: {comparison.note}")
        return
    rounds = list(zip(comparison.harness, comparison.pgbench, strict=True))
    pipelined = f", both with {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    if run.rate is None:
        shown = ", ".join(f"{ours.qps:,.0f} / {theirs.qps:,.0f}" for ours, theirs in rounds)
        said = f"{comparison.ratio} of pgbench's rate{pipelined} (QPS of harness / pgbench by round: {shown})"
    else:
        ratio = paired_ratio([ours.mean_ms for ours, _ in rounds], [theirs.mean_ms for _, theirs in rounds])
        shown = ", ".join(f"{ours.mean_ms:.3f} / {theirs.mean_ms:.3f}" for ours, theirs in rounds)
        said = f"mean latency {ratio} of pgbench's at the same --rate (ms of harness / pgbench by round: {shown})"
    yield Sentence("pgbench", name, f"{name}: {said}.")
    ours, theirs = comparison.medians("overhead_us")
    yield Sentence(
        "pgbench", name,
        f"{name}: client's processor time a query: harness {ours:.1f} µs, pgbench {theirs:.1f} µs, so "
        f"{ours - theirs:+.1f} µs.",
    )  # fmt: skip


def _slo_sentence(search: SloSearch) -> Sentence:
    tried = f"{len(search.steps)} runs; a closed loop answers {number(search.closed_qps)}"
    if search.rate is None:
        return Sentence(
            "slo", search.query,
            f"{search.query}: {search.text} held at no rate, or too few answers came to tell ({tried}). Allow a higher "
            "latency, or more time with --limit.",
        )  # fmt: skip
    return Sentence(
        "slo",
        search.query,
        f"{search.query}: {search.text} holds up to {number(search.rate)} queries a second ({tried}).",
    )


def _during_sentences(row: Row, during: During) -> Iterator[Sentence]:
    """Say what latencies were before, while and after the command ran."""
    ended = f" and failed with exit code {during.exit_code}" if during.exit_code else ""
    yield Sentence(
        "during", row.query, f"{row.title}: `{during.command}` took {during.ended_s - during.began_s:.1f} s{ended}."
    )
    words = phases_in_words(row.middle.timeline, during)
    yield Sentence("during", row.query, f"{row.title}: latency in ms: {words}.")


def _anchor_sentence(rows: Sequence[Row]) -> Iterator[Sentence]:
    rates = [one.anchor_qps for row in rows for one in row.rounds if one.anchor_qps is not None]
    if len(rates) > 1:
        spread = Spread.of(rates)
        yield Sentence(
            "anchor", "",
            f"The machine: the anchor query beside each row was answered {spread_in_words(spread)} times a second.",
        )  # fmt: skip
