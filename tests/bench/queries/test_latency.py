import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.queries.latency import (
    NS_PER_SECOND,
    Counts,
    WorkerResult,
    add_series,
    pack,
    shares,
    slices,
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


@pytest.mark.parametrize(
    ("sizes", "expected"), [([], []), ([3], [range(3)]), ([3, 2, 0], [range(3), range(3, 5), range(5, 5)])]
)
def test_slices(sizes: list[int], expected: list[range]) -> None:
    assert slices(sizes) == expected


def packed(*workers: list[int]) -> Counts:
    return pack([WorkerResult(0, array("q", values)) for values in workers])


@settings(deadline=None, max_examples=20)  # a histogram takes some 20 ms to travel
@given(LATENCIES, st.sampled_from([50, 95, 99, 99.9]))
def test_percentiles_are_nearest_ranks_to_three_digits(values: list[int], percent: float) -> None:
    ordered = sorted(values)
    rank = math.ceil(round(len(ordered) * percent / 100, 6))
    exact = ordered[rank - 1] / 1e6
    assert summarise([packed(values)], 1.0).percentiles[f"{percent:g}"] == pytest.approx(exact, rel=2e-3, abs=2e-4)


@settings(deadline=None, max_examples=10)
@given(st.lists(LATENCIES, min_size=1, max_size=4))
def test_merged_percentiles_do_not_depend_on_which_worker_or_process_saw_what(workers: list[list[int]]) -> None:
    processes = summarise([packed(values) for values in workers], 2.0)
    threads = summarise([packed(*workers)], 2.0)
    together = summarise([packed([value for values in workers for value in values])], 2.0)
    assert processes == threads == together
    assert processes.done == sum(map(len, workers))
    assert processes.qps == processes.done / 2
    assert processes.max_ms == max(map(max, workers)) / 1e6


def test_a_latency_past_the_histogram_still_counts() -> None:
    summary = summarise([packed([5 * 3600 * 10**9])], 1.0)
    assert (summary.done, summary.max_ms) == (1, 18_000_000.0)


def test_summary_counts_errors_beside_answers() -> None:
    results = [
        WorkerResult(latencies=array("q", [2_000_000, 1_000_000])),
        WorkerResult(errors=2, first_error="Gone."),
        WorkerResult(errors=1, first_error="Later."),
    ]
    summary = summarise([pack(results[:2]), pack(results[2:])], 0.5)
    assert (summary.done, summary.errors, summary.first_error, summary.qps) == (2, 3, "Gone.", 4.0)
    assert (summary.mean_ms, summary.max_ms) == (1.5, 2.0)
    assert summary.p50_ms == pytest.approx(1.0, rel=1e-3)


def test_summary_of_nothing() -> None:
    summary = summarise([pack([WorkerResult()])], 0.0)
    assert (summary.done, summary.qps, summary.p50_ms, summary.max_ms) == (0, 0.0, None, None)
    assert (summary.percentiles, summary.series) == ({}, [])


def test_answers_are_counted_by_the_second_that_they_came_in() -> None:
    began = 7 * NS_PER_SECOND + 5

    def worker(*seconds: float) -> WorkerResult:
        answered = array("q", [began + int(second * NS_PER_SECOND) for second in seconds])
        return WorkerResult(began, array("q", [1] * len(seconds)), answered)

    # The first query is answered at 0.1 s and 2.5 s: the second in between has none.
    first, second = worker(0.1, 2.5), worker(0.2, 0.3)
    assert summarise([pack([first])], 2.6).series == [1, 0]
    assert summarise([pack([first]), pack([second])], 3.0).series == [3, 0, 1]


def test_series_add_up_whatever_their_lengths() -> None:
    assert add_series([(1, 2, 3), (), (10,)]) == (11, 2, 3)
