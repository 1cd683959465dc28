import time

import pytest

from bench.queries.arrivals import OpenArrivals, Schedule, scheduled


@pytest.mark.parametrize(
    ("rate", "seconds", "total", "expected"),
    [(10, 1, None, 10), (10, 0.95, None, 10), (10, 0.91, 4, 4), (0.5, 1, None, 1), (3, 2, 100, 6)],
)
def test_scheduled(rate: float, seconds: float, total: int | None, expected: int) -> None:
    assert scheduled(rate, seconds, total) == expected


def test_processes_share_the_arrivals_out_and_miss_none() -> None:
    dues: list[float] = []
    for first in range(3):
        schedule = Schedule(rate=1000, first=first, processes=3, total=100)
        began = schedule.begin()
        while (due := schedule.take()) is not None:
            dues.append((due - began) / 1e6)
    assert sorted(dues) == pytest.approx(list(range(100)))


def test_a_schedule_begins_once() -> None:
    schedule = Schedule(rate=1, first=0, processes=1, total=None)
    assert schedule.begin() == schedule.begin() == schedule.take()


def test_an_arrival_that_is_not_yet_due_is_left_to_whoever_is_free_then() -> None:
    schedule = Schedule(rate=0.001, first=0, processes=1, total=None)
    began = schedule.begin()
    arrivals = OpenArrivals(schedule, began + 10**12)
    assert arrivals.next_due() == began
    assert arrivals.next_due() is None
    assert schedule.take() == began + 1000 * 10**9


def test_arrivals_wait_for_their_time_and_count_from_it() -> None:
    schedule = Schedule(rate=100, first=0, processes=1, total=None)
    began = schedule.begin()
    arrivals = OpenArrivals(schedule, began + int(0.2e9))
    dues = []
    while (due := arrivals.next()) < arrivals.deadline_ns:
        assert time.perf_counter_ns() >= due
        dues.append((due - began) / 1e6)
    assert dues == pytest.approx([10.0 * at for at in range(len(dues))])
    assert len(dues) <= 20


def test_what_was_due_while_nobody_asked_is_late_and_what_is_left_at_the_end_is_not_sent() -> None:
    schedule = Schedule(rate=100, first=0, processes=1, total=None)
    arrivals = OpenArrivals(schedule, schedule.begin() + int(0.05e9))
    time.sleep(0.02)
    assert arrivals.next() == schedule.begin()
    assert arrivals.late == 1
    time.sleep(0.04)
    assert arrivals.next() == arrivals.deadline_ns
    assert arrivals.next_due() is None
    assert arrivals.late == 1
