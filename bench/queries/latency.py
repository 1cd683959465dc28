"""The harness's arithmetic: sharing queries out, merging workers' latencies in histograms, percentiles and rates.

Latencies are kept as they come and put into an HDR histogram after the clock has stopped: recording there costs
microseconds in Python, an array's append tens of nanoseconds. Histograms of processes add up without loss.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate, pairwise, zip_longest

from hdrh.histogram import HdrHistogram

NS_PER_MS = 1e6
NS_PER_SECOND = 1_000_000_000
# Three digits of a latency, in steps of 0.1 us from there to an hour.
HISTOGRAM_UNIT_NS = 100
HISTOGRAM_LONGEST = 3600 * NS_PER_SECOND // HISTOGRAM_UNIT_NS
HISTOGRAM_DIGITS = 3
# A last second that lacks no more than this counts as one: the last arrival of an open loop comes before its end.
SHORT_SECOND = 0.1
PERCENTILES = (50, 75, 90, 95, 99, 99.9, 99.99)


@dataclass
class WorkerResult:
    """What one worker saw of one query: latency and time of each answer in ns, how many failed, the first failure."""

    began_ns: int = 0
    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    answered: "array[int]" = field(default_factory=lambda: array("q"))
    errors: int = 0
    first_error: str | None = None

    def fail(self, words: str) -> None:
        """Count a query that failed."""
        self.errors += 1
        self.first_error = self.first_error or words


@dataclass(frozen=True)
class Counts:
    """Workers' results packed to travel between processes: a histogram, the extremes, answers a second."""

    histogram: bytes
    done: int = 0
    total_ns: int = 0
    longest_ns: int = 0
    series: tuple[int, ...] = ()
    errors: int = 0
    first_error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run of all workers: queries answered, measured seconds, latencies in ms (None where nothing was answered).

    `series` has the answers of each full second; `overhead_us` is the client's processor time a query. In an open loop
    `late` queries were sent over a millisecond behind their time, and `unsent` ones were due and never sent.
    """

    done: int
    seconds: float
    qps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    errors: int
    first_error: str | None
    mean_ms: float | None = None
    percentiles: dict[str, float] = field(default_factory=dict)
    series: list[int] = field(default_factory=list)
    overhead_us: float | None = None
    late: int | None = None
    unsent: int | None = None


def shares(count: int, workers: int) -> list[int]:
    """Split `count` queries over `workers` as evenly as whole numbers allow, larger shares first."""
    if count < 0 or workers < 1:
        raise ValueError(f"{count} queries cannot be shared over {workers} workers: pass count >= 0 and workers >= 1.")
    least, over = divmod(count, workers)
    return [least + (worker < over) for worker in range(workers)]


def slices(sizes: Iterable[int]) -> list[range]:
    """Number things through: sizes 3 and 2 become ranges 0..2 and 3..4."""
    ends = list(accumulate(sizes))
    return [range(start, end) for start, end in pairwise([0, *ends])]


def pack(results: Sequence[WorkerResult]) -> Counts:
    """Merge workers' results of one query into one histogram, encoded."""
    histogram = _new_histogram()
    merged = Counter(value // HISTOGRAM_UNIT_NS for result in results for value in result.latencies)
    for value, count in merged.items():
        histogram.record_value(min(value, HISTOGRAM_LONGEST), count)
    return Counts(
        histogram.encode(),
        merged.total(),
        sum(sum(result.latencies) for result in results),
        max((max(result.latencies) for result in results if result.latencies), default=0),
        add_series(_answers_a_second(result) for result in results),
        sum(result.errors for result in results),
        next((result.first_error for result in results if result.first_error is not None), None),
    )


def summarise(
    parts: Iterable[Counts],
    seconds: float,
    *,
    overhead_us: float | None = None,
    late: int | None = None,
    unsent: int | None = None,
) -> Summary:
    """Add the parts up and divide by the measured seconds; percentiles are of all latencies at once."""
    parts = list(parts)
    histogram = reduce(_add, (one.histogram for one in parts), _new_histogram())
    done, longest = sum(one.done for one in parts), max((one.longest_ns for one in parts), default=0)

    # The library rounds a rank to the nearest; asked for a whole rank, it is the one that the definition rounds up.
    ranks = {percent: math.ceil(round(done * percent / 100, 6)) for percent in PERCENTILES} if done else {}
    found = histogram.get_percentile_to_value_dict([100 * rank / done for rank in ranks.values()])
    # A histogram's value is the end of its step, which may lie past the longest latency.
    latencies = {
        f"{percent:g}": min(found[100 * rank / done] * HISTOGRAM_UNIT_NS, longest) / NS_PER_MS
        for percent, rank in ranks.items()
    }
    return Summary(
        done=done,
        seconds=seconds,
        qps=done / seconds if seconds > 0 else 0.0,
        p50_ms=latencies.get("50"),
        p95_ms=latencies.get("95"),
        p99_ms=latencies.get("99"),
        max_ms=longest / NS_PER_MS if done else None,
        errors=sum(one.errors for one in parts),
        first_error=next((one.first_error for one in parts if one.first_error is not None), None),
        mean_ms=sum(one.total_ns for one in parts) / done / NS_PER_MS if done else None,
        percentiles=latencies,
        series=list(add_series(one.series for one in parts))[: int(seconds + SHORT_SECOND)],
        overhead_us=overhead_us,
        late=late,
        unsent=unsent,
    )


def add_series(series: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Add figures a second up, the first with the first; what ended earlier adds nothing more."""
    return tuple(map(sum, zip_longest(*series, fillvalue=0)))


def _answers_a_second(result: WorkerResult) -> list[int]:
    """Return the answers of each second, the last one begun included."""
    counts = Counter((answered - result.began_ns) // NS_PER_SECOND for answered in result.answered)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def _new_histogram() -> HdrHistogram:
    return HdrHistogram(1, HISTOGRAM_LONGEST, HISTOGRAM_DIGITS)


def _add(histogram: HdrHistogram, encoded: bytes) -> HdrHistogram:
    histogram.add(HdrHistogram.decode(encoded))
    return histogram
