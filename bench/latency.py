"""The harness's arithmetic: sharing queries out, merging workers' latencies, percentiles and rates."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

NS_PER_MS = 1e6


@dataclass
class Tally:
    """What one worker saw: a latency in ns a query answered, how many failed, and the first failure's words."""

    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    errors: int = 0
    first_error: str | None = None


@dataclass(frozen=True)
class Summary:
    """A run of all workers: queries answered, measured seconds, latencies in ms (None where nothing was answered)."""

    done: int
    seconds: float
    qps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    errors: int
    first_error: str | None


def shares(count: int, workers: int) -> list[int]:
    """Split `count` queries over `workers` as evenly as whole numbers allow, larger shares first."""
    if count < 0 or workers < 1:
        raise ValueError(f"{count} queries cannot be shared over {workers} workers: pass count >= 0 and workers >= 1.")
    least, over = divmod(count, workers)
    return [least + (worker < over) for worker in range(workers)]


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of values in ascending order: the least one that `percent` % do not exceed."""
    if not ordered or not 0 < percent <= 100:
        raise ValueError(f"No percentile {percent} of {len(ordered)} values: pass values, and 1 to 100.")
    rank = -(-len(ordered) * percent // 100)  # rounded up, in whole numbers
    return ordered[rank - 1]


def summarise(tallies: Iterable[Tally], seconds: float) -> Summary:
    """Merge the workers' latencies and divide by the measured seconds; percentiles are of all latencies at once."""
    tallies = list(tallies)
    merged = sorted(chain.from_iterable(tally.latencies for tally in tallies))

    def milliseconds(percent: int) -> float | None:
        return percentile(merged, percent) / NS_PER_MS if merged else None

    return Summary(
        done=len(merged),
        seconds=seconds,
        qps=len(merged) / seconds if seconds > 0 else 0.0,
        p50_ms=milliseconds(50),
        p95_ms=milliseconds(95),
        p99_ms=milliseconds(99),
        max_ms=milliseconds(100),
        errors=sum(tally.errors for tally in tallies),
        first_error=next((tally.first_error for tally in tallies if tally.first_error is not None), None),
    )


def slices(sizes: Iterable[int]) -> list[range]:
    """Number things through: sizes 3 and 2 become ranges 0..2 and 3..4."""
    ends = list(accumulate(sizes))
    return [range(start, end) for start, end in pairwise([0, *ends])]
