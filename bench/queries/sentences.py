"""What the figures of a load say in words: how it kept up, what the client costs, how it compares with pgbench."""

from collections.abc import Sequence

from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row
from bench.queries.pgbench import Comparison, medians
from bench.queries.report import counted
from bench.queries.worker import Run


def load_lines(rows: Sequence[Row], run: Run) -> list[str]:
    """Say what the load model means for the figures: of an open loop, how it kept up; of any, the client's own time."""
    lines = []
    for row in rows:
        s = row.summary
        if s.overhead_us is None:
            continue
        named = row.benchmark.name if row.count is None else f"{row.benchmark.name}, n = {row.count:,}"
        if run.rate is not None and s.done:
            kept = f"{s.qps:,.0f} of {run.rate:,g} queries a second answered"
            late = f"{counted(s.late)} sent over 1 ms late ({(s.late or 0) / s.done:.1%}), {counted(s.unsent)} unsent"
            lines.append(f"{named}: {kept}; latency counts from the scheduled time (p99 {s.p99_ms:,.3f} ms); {late}.")
            if s.unsent:
                lines.append(
                    f"{named}: what was not sent has no latency, so the percentiles are too good. "
                    "Lower --rate, or raise --connections, until all are sent."
                )
        if row is longest_row(rows, row):
            share = s.overhead_us * s.qps / 1e6
            lines.append(
                f"{named}: the client used {s.overhead_us:,.1f} µs of processor time a query, {share:.2f} of a core."
            )
    return lines


def longest_row(rows: Sequence[Row], like: Row) -> Row:
    """Return the row of the same query with the most answers: the one whose overhead is worth telling."""
    return max((row for row in rows if row.benchmark == like.benchmark), key=lambda row: row.summary.done)


def comparison_lines(comparison: Comparison, run: Run) -> list[str]:
    """Say how the harness compares with pgbench, every round shown, and what either costs a query."""
    harness, pgbench = medians(comparison.harness), medians(comparison.pgbench)
    turns = zip(comparison.harness, comparison.pgbench, strict=True)
    pipelined = f", both with {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    if run.rate is None:
        shown = ", ".join(f"{ours.qps:,.0f} / {theirs.qps:,.0f}" for ours, theirs in turns)
        compared = f"{comparison.ratio:.2f} of pgbench{pipelined} (QPS of harness / pgbench in turns: {shown})"
    else:
        shown = ", ".join(f"{ours.mean_ms:.3f} / {theirs.mean_ms:.3f}" for ours, theirs in turns)
        compared = (
            f"mean latency {harness.mean_ms / pgbench.mean_ms:.2f} of pgbench's at the same --rate{pipelined}, "
            f"which draws its arrivals at random (ms of harness / pgbench in turns: {shown})"
        )
    more = harness.overhead_us - pgbench.overhead_us
    return [
        f"{comparison.name}: {compared}",
        f"{comparison.name}: client's processor time a query: harness {harness.overhead_us:.1f} µs, "
        f"pgbench {pgbench.overhead_us:.1f} µs, so {more:+.1f} µs of overhead.",
    ]
