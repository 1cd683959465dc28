import statistics
import time
from dataclasses import dataclass

import pytest

from bench.queries.arrivals import OpenArrivals, Schedule

FAR = 10**15


@dataclass
class Deadline:
    value: int


def begun(rate: float, total: int | None = None, seed: str = "1") -> tuple[Schedule, int]:
    schedule, began = Schedule(rate, total, seed), time.perf_counter_ns()
    schedule.begin(began)
    return schedule, began


def test_arrivals_are_a_poisson_process() -> None:
    schedule, began = begun(1000, total=20_000)
    dues = [due for due, _ in schedule.unsent(began + FAR)]
    gaps = [(after - before) / 1e6 for before, after in zip([began, *dues], dues, strict=False)]
    assert len(dues) == 20_000
    # Of an exponential distribution, mean and deviation are equal: 1 ms each; 3 % are four of their own deviations.
    assert statistics.fmean(gaps) == pytest.approx(1, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1, rel=0.05)


def test_processes_have_arrivals_of_their_own_that_a_seed_repeats() -> None:
    def dues(seed: str) -> list[int]:
        schedule = Schedule(100, 10, seed)
        schedule.begin(0)
        return [due for due, _ in schedule.unsent(FAR)]

    assert dues("1 0") == dues("1 0") != dues("1 1")


def test_what_is_left_at_the_end_is_unsent_with_its_wait() -> None:
    schedule, began = begun(1000)
    first = schedule.take()
    assert first is not None
    left = schedule.unsent(began + 10**8)
    assert 60 < len(left) < 140
    assert all(first < due < due + wait == began + 10**8 for due, wait in left)
    assert schedule.unsent(began + 10**8) == []


def test_an_arrival_that_is_not_yet_due_is_left_to_whoever_is_free_then() -> None:
    schedule, began = begun(0.001)
    arrivals = OpenArrivals(schedule, Deadline(began + FAR))
    assert arrivals.next_due() is None
    assert schedule.take() is not None


def test_arrivals_wait_for_their_time_and_count_from_it() -> None:
    schedule, began = begun(100)
    arrivals = OpenArrivals(schedule, Deadline(began + int(0.2e9)))
    dues = []
    while (due := arrivals.next()) < arrivals.deadline.value:
        assert time.perf_counter_ns() >= arrivals.sent_ns >= due
        dues.append(due)
    assert dues == sorted(dues)
    assert len(dues) + len(schedule.unsent(arrivals.deadline.value)) + len(arrivals.missed) > 0


def test_an_end_that_moves_forward_ends_a_long_wait() -> None:
    schedule, began = begun(0.001)
    deadline = Deadline(began + FAR)
    arrivals = OpenArrivals(schedule, deadline)
    deadline.value = began + int(0.05e9)
    while time.perf_counter_ns() < deadline.value:
        pass
    assert arrivals.next() == deadline.value
