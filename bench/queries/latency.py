"""The harness's arithmetic: sharing queries out, counting workers' latencies, percentiles and rates.

Latencies are kept as they come and counted in steps of 0.1 us after the clock has stopped: an array's append takes
tens of nanoseconds. Counts of workers and processes add up without loss, and the percentiles are those of all.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest

from bench.queries.rows import Round, Second

NS_PER_MS = 1e6
NS_PER_SECOND = 1_000_000_000
STEP_NS = 100
# A last second that lacks no more than this counts as one: the last arrival of an open loop comes before its end.
SHORT_SECOND = 0.1
PERCENTILES = (50, 75, 90, 95, 99, 99.9, 99.99)
# Fewer answers beyond a percentile than these, and it is the luck of a few.
ANSWERS_BEYOND = 10
# A rate of less time says little.
LEAST_RATE_SECONDS = 0.5
# Sent later than this behind its time, a query counts as late: no thread wakes up to the microsecond.
LATE_NS = 1_000_000

Steps = Counter[int]


@dataclass
class WorkerResult:
    """What one worker saw of one query: of each answer its latency, time and (open loop) lag in ns; what failed."""

    latencies: "array[int]" = field(default_factory=lambda: array("q"))
    answered: "array[int]" = field(default_factory=lambda: array("q"))
    lags: "array[int]" = field(default_factory=lambda: array("q"))
    errors: int = 0
    first_error: str | None = None

    def fail(self, words: str) -> None:
        """Count a query that failed."""
        self.errors += 1
        self.first_error = self.first_error or words


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Workers' results of one query, counted, so that they travel between processes.

    `latencies` has the unsent queries too, with the time that they had waited; `busy` are the answers of the time in
    which every connection had work.
    """

    latencies: Steps
    lags: Steps
    services: Steps
    done: int
    busy: int
    late: int
    unsent: int
    total_ns: int
    longest_ns: int
    series: tuple[int, ...]
    timeline: tuple[tuple[int, Steps, int], ...]
    errors: int
    first_error: str | None


def shares(count: int, workers: int) -> list[int]:
    """Split `count` queries over `workers` as evenly as whole numbers allow, larger shares first."""
    if count < 0 or workers < 1:
        raise ValueError(f"{count} queries cannot be shared over {workers} workers: pass count >= 0 and workers >= 1.")
    least, over = divmod(count, workers)
    return [least + (worker < over) for worker in range(workers)]


def pack(
    results: Sequence[WorkerResult],
    began_ns: int,
    busy_until_ns: int,
    waited_ns: Sequence[tuple[int, int]] = (),
    *,
    with_timeline: bool = False,
) -> Counts:
    """Count workers' results of one query; `waited_ns` has the unsent ones: when each was due, and its wait since."""
    waits = [wait for _, wait in waited_ns]
    latencies = _steps(value for one in results for value in one.latencies)
    services = (
        latency - lag for one in results if one.lags for latency, lag in zip(one.latencies, one.lags, strict=True)
    )
    answered = Counter((at - began_ns) // NS_PER_SECOND for one in results for at in one.answered)
    return Counts(
        latencies=latencies + _steps(waits),
        lags=_steps(value for one in results for value in one.lags),
        services=_steps(services),
        done=latencies.total(),
        busy=sum(at <= busy_until_ns for one in results for at in one.answered),
        late=sum(lag > LATE_NS for one in results for lag in one.lags),
        unsent=len(waits),
        total_ns=sum(sum(one.latencies) for one in results),
        longest_ns=max([*(max(one.latencies) for one in results if one.latencies), *waits], default=0),
        series=tuple(answered[second] for second in range(max(answered, default=-1) + 1)),
        timeline=_timeline(results, began_ns, waited_ns) if with_timeline else (),
        errors=sum(one.errors for one in results),
        first_error=_first(one.first_error for one in results),
    )


def merge(parts: Sequence[Counts]) -> Counts:
    """Add counts up."""
    return Counts(
        latencies=_added(one.latencies for one in parts),
        lags=_added(one.lags for one in parts),
        services=_added(one.services for one in parts),
        done=sum(one.done for one in parts),
        busy=sum(one.busy for one in parts),
        late=sum(one.late for one in parts),
        unsent=sum(one.unsent for one in parts),
        total_ns=sum(one.total_ns for one in parts),
        longest_ns=max((one.longest_ns for one in parts), default=0),
        series=tuple(map(sum, zip_longest(*(one.series for one in parts), fillvalue=0))),
        timeline=tuple(
            (
                sum(answers for answers, _, _ in same),
                _added(steps for _, steps, _ in same),
                max(longest for *_, longest in same),
            )
            for same in zip_longest(*(one.timeline for one in parts), fillvalue=(0, Counter[int](), 0))
        ),
        errors=sum(one.errors for one in parts),
        first_error=_first(one.first_error for one in parts),
    )


def summarise(
    counts: Counts, seconds: float, busy_seconds: float, *, is_open: bool = False, overhead_us: float | None = None
) -> Round:
    """Return the figures of a round that took `seconds`, in the first `busy_seconds` of which nobody was idle."""
    return Round(
        done=counts.done,
        seconds=seconds,
        qps=counts.busy / busy_seconds if busy_seconds >= LEAST_RATE_SECONDS else None,
        mean_ms=counts.total_ns / counts.done / NS_PER_MS if counts.done else None,
        max_ms=counts.longest_ns / NS_PER_MS if counts.latencies else None,
        percentiles=percentiles(counts.latencies),
        service=percentiles(counts.services) if is_open else None,
        lag=percentiles(counts.lags) if is_open else None,
        series=list(counts.series)[: int(seconds + SHORT_SECOND)],
        timeline=[_second(*one) for one in counts.timeline],
        errors=counts.errors,
        first_error=counts.first_error,
        overhead_us=overhead_us,
        late=counts.late if is_open else None,
        unsent=counts.unsent if is_open else None,
    )


def percentiles(steps: Steps) -> dict[str, float]:
    """Return percentiles (nearest rank) in ms, those beyond which there are answers enough."""
    total = steps.total()
    known = [one for one in PERCENTILES if total * (100 - one) / 100 >= ANSWERS_BEYOND - 1e-6]
    ranks = iter([(f"{one:g}", math.ceil(round(total * one / 100, 6))) for one in known])
    found: dict[str, float] = {}
    name, rank = next(ranks, ("", 0))
    for step, seen in zip(ordered := sorted(steps), accumulate(steps[one] for one in ordered), strict=True):
        while name and seen >= rank:
            found[name] = step * STEP_NS / NS_PER_MS
            name, rank = next(ranks, ("", 0))
    return found


def answers_for(percent: float) -> int:
    """Return how many answers a percentile needs."""
    return math.ceil(round(ANSWERS_BEYOND * 100 / (100 - percent), 6))


def _timeline(
    results: Sequence[WorkerResult], began_ns: int, waited_ns: Sequence[tuple[int, int]]
) -> tuple[tuple[int, Steps, int], ...]:
    """Return, for each second in which queries were due, answers, latencies and the longest one in ns."""
    seconds: dict[int, list[int]] = {}
    answers: Counter[int] = Counter()
    for one in results:
        for latency, at in zip(one.latencies, one.answered, strict=True):
            second = (at - latency - began_ns) // NS_PER_SECOND
            seconds.setdefault(second, []).append(latency)
            answers[second] += 1
    for due, wait in waited_ns:
        seconds.setdefault((due - began_ns) // NS_PER_SECOND, []).append(wait)
    last = max(seconds, default=-1)
    each = ((second, seconds.get(second, [])) for second in range(last + 1))
    return tuple((answers[second], _steps(values), max(values, default=0)) for second, values in each)


def _second(answers: int, steps: Steps, longest_ns: int) -> Second:
    found = percentiles(steps)
    longest = longest_ns / NS_PER_MS if steps else None
    return Second(answers=answers, p50_ms=found.get("50"), p99_ms=found.get("99"), max_ms=longest)


def _steps(values: Iterable[int]) -> Steps:
    return Counter(value // STEP_NS for value in values)


def _added(some: Iterable[Steps]) -> Steps:
    return sum(some, Counter[int]())


def _first(words: Iterable[str | None]) -> str | None:
    return next((one for one in words if one is not None), None)
