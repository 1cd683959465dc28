"""When the next query is due: at once (closed loop), or at its time on a schedule (open loop).

In a closed loop a stalled server stops the clients too, so that hardly a query sees the stall. In an open one arrivals
go on and latency counts from the time at which a query was due: what Gil Tene calls avoiding coordinated omission
("How NOT to Measure Latency"), as wrk2 does.
"""

import math
import time
from dataclasses import dataclass, field
from threading import Lock

from bench.queries.latency import NS_PER_SECOND

# Sent later than this behind its time, a query counts as late: no thread wakes up to the microsecond.
LATE_NS = 1_000_000


@dataclass
class Schedule:
    """One process's arrivals, at even distances, taken in order by whichever of its connections is free.

    Of the arrivals 0, 1, 2 ... that all `processes` share, this one has `first`, `first` + `processes` and so on. All
    methods block: each connection has a thread of its own.
    """

    rate: float
    first: int
    processes: int
    total: int | None
    _lock: Lock = field(default_factory=Lock)
    _began_ns: int = 0
    _number: int = field(init=False)

    def __post_init__(self) -> None:
        self._number = self.first

    def begin(self) -> int:
        """Return when the schedule began: at the first call."""
        with self._lock:
            self._began_ns = self._began_ns or time.perf_counter_ns()
        return self._began_ns

    def take(self, until_ns: int | None = None) -> int | None:
        """Take the next arrival and return when it is due; None if all are taken, or it is due after `until_ns`."""
        with self._lock:
            if self.total is not None and self._number >= self.total:
                return None
            due = self._began_ns + int(self._number * NS_PER_SECOND / self.rate)
            if until_ns is not None and due > until_ns:
                return None
            self._number += self.processes
        return due


@dataclass
class OpenArrivals:
    """When one connection's next query on the schedule is due; `late` counts those that waited for a connection."""

    schedule: Schedule
    deadline_ns: int
    late: int = 0

    def next(self) -> int:
        """Sleep until the next arrival is due and return that time; the deadline where none is left before it."""
        due = self.schedule.take()
        now = time.perf_counter_ns()
        # One that was due and is taken after the end is not sent: the harness counts it as unsent.
        if due is None or due >= self.deadline_ns or now >= self.deadline_ns:
            return self.deadline_ns
        while now < due:
            time.sleep((due - now) / NS_PER_SECOND)
            now = time.perf_counter_ns()
        self.late += now - due > LATE_NS
        return due

    def next_due(self) -> int | None:
        """Return the next arrival's time if it is due already."""
        now = time.perf_counter_ns()
        due = self.schedule.take(until_ns=now) if now < self.deadline_ns else None
        if due is not None:
            self.late += now - due > LATE_NS
        return due


class ClosedArrivals:
    """The next query is due when the last one is answered."""

    late = 0
    next = next_due = staticmethod(time.perf_counter_ns)


def scheduled(rate: float, seconds: float, total: int | None) -> int:
    """Return how many queries are due within the seconds, the first at their start."""
    due = math.ceil(rate * seconds)
    return due if total is None else min(due, total)
