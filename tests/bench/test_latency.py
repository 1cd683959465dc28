from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.latency import Tally, percentile, shares, slices, summarise

LATENCIES = st.lists(st.integers(min_value=0, max_value=10**12), min_size=1)


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


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 1, 7),
        ([7], 100, 7),
        ([1, 2], 50, 1),
        ([1, 2], 51, 2),
        (list(range(1, 101)), 50, 50),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 102)), 99, 100),
    ],
)
def test_percentile(values: list[int], percent: int, expected: int) -> None:
    assert percentile(values, percent) == expected


@given(LATENCIES, st.integers(1, 100))
def test_percentile_is_a_value_that_enough_values_do_not_exceed(values: list[int], percent: int) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    assert sum(value < found for value in ordered) * 100 < percent * len(ordered)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_percentile_refuses(values: list[int], percent: int) -> None:
    with pytest.raises(ValueError, match="No percentile"):
        percentile(values, percent)


@given(st.lists(LATENCIES, min_size=1))
def test_merged_percentiles_do_not_depend_on_which_worker_saw_what(workers: list[list[int]]) -> None:
    apart = summarise([Tally(array("q", values)) for values in workers], 2.0)
    together = summarise([Tally(array("q", [value for values in workers for value in values]))], 2.0)
    assert apart == together
    assert apart.done == sum(map(len, workers))
    assert apart.qps == apart.done / 2


def test_summary_counts_errors_beside_answers() -> None:
    tallies = [Tally(array("q", [2_000_000, 1_000_000])), Tally(array("q"), 2, "Gone."), Tally(array("q"), 1, "Later.")]
    summary = summarise(tallies, 0.5)
    assert (summary.done, summary.errors, summary.first_error, summary.qps) == (2, 3, "Gone.", 4.0)
    assert (summary.p50_ms, summary.max_ms) == (1.0, 2.0)


def test_summary_of_nothing() -> None:
    summary = summarise([Tally()], 0.0)
    assert (summary.done, summary.qps, summary.p50_ms, summary.max_ms) == (0, 0.0, None, None)
