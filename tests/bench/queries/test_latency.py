import math
from array import array
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.queries.latency import (
    NS_PER_SECOND,
    PERCENTILES,
    Counts,
    WorkerResult,
    answers_for,
    merge,
    pack,
    percentiles,
    shares,
    summarise,
)

LATENCIES = st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("count", "workers", "expected"),
    [(10, 1, [10]), (10, 3, [4, 3, 3]), (2, 4, [1, 1, 0, 0]), (0, 2, [0, 0]), (1000, 8, [125] * 8)],
)
def test_shares(count: int, workers: int, expected: list[int]) -> None:
    assert shares(count, workers) == expected


@given(st.integers(0, 10**9), st.integers(1, 500))
def test_shares_lose_nothing_and_differ_by_one_at_most(count: int, workers: int) -> None:
    split = shares(count, workers)
    assert sum(split) == count
    assert len(split) == workers
    assert max(split) - min(split) <= 1


@pytest.mark.parametrize(("count", "workers"), [(-1, 1), (1, 0)])
def test_shares_refuse_what_cannot_be_shared(count: int, workers: int) -> None:
    with pytest.raises(ValueError, match="cannot be shared"):
        shares(count, workers)


def worker(latencies: list[int], answered: list[int] | None = None, lags: list[int] | None = None) -> WorkerResult:
    answered = [0] * len(latencies) if answered is None else answered
    return WorkerResult(array("q", latencies), array("q", answered), array("q", lags or []))


def packed(*workers: list[int]) -> Counts:
    return pack([worker(values) for values in workers], 0, 0)


@given(st.lists(st.integers(min_value=0, max_value=10**12), min_size=20, max_size=1200))
@settings(max_examples=50)
def test_percentiles_are_nearest_ranks_in_steps_of_a_tenth_of_a_microsecond(values: list[int]) -> None:
    ordered = sorted(values)
    found = percentiles(packed(values).latencies)
    for percent in PERCENTILES:
        rank = math.ceil(round(len(ordered) * percent / 100, 6))
        expected = ordered[rank - 1] // 100 / 1e4 if len(values) >= answers_for(percent) else None
        assert found.get(f"{percent:g}") == expected


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 20), (75, 40), (90, 100), (95, 200), (99, 1000), (99.9, 10_000), (99.99, 100_000)]
)
def test_a_percentile_needs_ten_answers_beyond_it(percent: float, needed: int) -> None:
    assert answers_for(percent) == needed
    for answers in (needed, needed - 1):
        assert (f"{percent:g}" in percentiles(Counter({5: answers}))) == (answers == needed)


@settings(max_examples=20)
@given(st.lists(LATENCIES, min_size=1, max_size=4))
def test_merged_figures_do_not_depend_on_which_worker_or_process_saw_what(workers: list[list[int]]) -> None:
    processes = merge([packed(values) for values in workers])
    threads = packed(*workers)
    together = packed([value for values in workers for value in values])
    assert processes == threads == together
    summary = summarise(processes, 2.0, 2.0)
    assert summary.done == sum(map(len, workers))
    assert summary.max_ms == max(map(max, workers)) / 1e6


def test_a_latency_of_hours_counts() -> None:
    summary = summarise(packed([5 * 3600 * 10**9]), 1.0, 1.0)
    assert (summary.done, summary.max_ms) == (1, 18_000_000.0)


def test_errors_are_counted_beside_answers() -> None:
    results = [worker([2_000_000, 1_000_000]), WorkerResult(errors=2, first_error="Gone.")]
    later = [WorkerResult(errors=1, first_error="Later.")]
    summary = summarise(merge([pack(results, 0, 0), pack(later, 0, 0)]), 0.5, 0.5)
    assert (summary.done, summary.errors, summary.first_error, summary.qps) == (2, 3, "Gone.", 4.0)
    assert (summary.mean_ms, summary.max_ms, summary.p50_ms) == (1.5, 2.0, None)


def test_nothing_has_no_figures() -> None:
    summary = summarise(pack([WorkerResult()], 0, 0), 0.0, 0.0)
    assert (summary.done, summary.qps, summary.p50_ms, summary.max_ms) == (0, None, None, None)
    assert (summary.percentiles, summary.series) == ({}, [])


def test_the_rate_is_of_the_time_in_which_nobody_was_idle() -> None:
    answered = [100, 200, 300, 900]
    counts = pack([worker([1] * 4, answered)], 0, busy_until_ns=300)
    assert summarise(counts, 3.0, busy_seconds=1.5).qps == 2.0
    assert summarise(counts, 3.0, busy_seconds=0.4).qps is None, "too short to be a rate"


def test_answers_are_counted_by_the_second_that_they_came_in() -> None:
    began = 7 * NS_PER_SECOND + 5

    def answering(*seconds: float) -> WorkerResult:
        return worker([1] * len(seconds), [began + int(second * NS_PER_SECOND) for second in seconds])

    # The first query is answered at 0.1 s and 2.5 s: the second in between has none.
    first, second = answering(0.1, 2.5), answering(0.2, 0.3)
    assert summarise(pack([first], began, began), 2.6, 1.0).series == [1, 0]
    assert summarise(merge([pack([first], began, 0), pack([second], began, 0)]), 3.0, 1.0).series == [3, 0, 1]


def test_unsent_queries_count_with_the_time_that_they_waited() -> None:
    sent = worker([1_000_000] * 990, [10**9] * 990, [200_000] * 990)
    waited = [(0, 700_000_000)] * 30
    summary = summarise(pack([sent], 0, 10**9, waited), 1.0, 1.0, is_open=True)
    assert (summary.done, summary.unsent, summary.late, summary.qps) == (990, 30, 0, 990.0)
    assert (summary.p50_ms, summary.p99_ms, summary.max_ms) == (1.0, 700.0, 700.0)
    assert summary.service is not None
    assert summary.lag is not None
    assert (summary.service["50"], summary.lag["50"], "99" in summary.service) == (0.8, 0.2, False)


def test_the_timeline_is_by_the_second_in_which_a_query_was_due() -> None:
    second = NS_PER_SECOND
    # Due at 0.5 s and answered at 2.5 s, while 20 others came and went; one was never sent.
    results = [worker([2 * second], [int(2.5 * second)]), worker([10**6] * 20, [second + 10**7] * 20)]
    timeline = summarise(
        merge([pack([one], 0, 0, with_timeline=True) for one in results]
              + [pack([], 0, 0, [(3 * second, 5 * 10**8)], with_timeline=True)]), 4.0, 4.0,
    ).timeline  # fmt: skip
    assert [(one.answers, one.p50_ms, one.max_ms) for one in timeline] == [
        (1, None, 2000.0),
        (20, 1.0, 1.0),
        (0, None, None),
        (0, None, 500.0),
    ]
