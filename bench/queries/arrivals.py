"""When the next query is due: at once (closed loop), or at its time on a schedule (open loop).

In a closed loop a stalled server stops the clients too, so that hardly a query sees the stall. In an open one arrivals
go on and latency counts from the time at which a query was due: what Gil Tene calls avoiding coordinated omission
("How NOT to Measure Latency"), as wrk2 does.
"""

import random
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from bench.queries.latency import NS_PER_SECOND


class Moment(Protocol):
    """A time of the machine's clock in ns that all processes share, and that may still be moved."""

    value: int


class Schedule:
    """One process's arrivals, as from many users who do not know of each other (a Poisson process).

    They are taken in order by whichever of its connections is free. The arrivals of several processes together are
    such a process again, of the sum of their rates. All methods block: each connection has a thread of its own.
    """

    def __init__(self, rate: float, total: int | None, seed: str) -> None:
        """Take `rate` arrivals a second, `total` at most."""
        self._rate = rate / NS_PER_SECOND
        self._left = total
        self._source = random.Random(seed)  # noqa: S311 - not a secret
        self._lock = Lock()
        self._next = 0.0

    def begin(self, began_ns: int) -> None:
        """Let the schedule begin at this time, the first arrival after a first random wait."""
        self._next = began_ns + self._source.expovariate(self._rate)

    def take(self, until_ns: int | None = None) -> int | None:
        """Take the next arrival and return when it is due; None if all are taken, or it is due after `until_ns`."""
        with self._lock:
            due = int(self._next)
            if self._left == 0 or (until_ns is not None and due > until_ns):
                return None
            self._left = None if self._left is None else self._left - 1
            self._next += self._source.expovariate(self._rate)
        return due

    def unsent(self, deadline_ns: int) -> list[tuple[int, int]]:
        """Take all that is left before the deadline; return when each was due, and how long it had waited then."""
        left = []
        while (due := self.take(until_ns=deadline_ns - 1)) is not None:
            left.append((due, deadline_ns - due))
        return left


@dataclass
class OpenArrivals:
    """When one connection's next query on the schedule is due; `sent_ns` is when the last one was taken."""

    schedule: Schedule
    deadline: Moment
    sent_ns: int = 0
    # Taken, but not to be sent any more: the deadline came while it slept.
    missed: list[tuple[int, int]] = field(default_factory=list)

    def next(self) -> int:
        """Sleep until the next arrival is due and return that time; the deadline where none is left before it."""
        now = time.perf_counter_ns()
        # What is due and not taken before the end is unsent.
        due = self.schedule.take() if now < self.deadline.value else None
        if due is None:
            return self.deadline.value
        while now < due:
            time.sleep(min(due - now, NS_PER_SECOND // 10) / NS_PER_SECOND)
            now = time.perf_counter_ns()
            if now >= self.deadline.value:  # moved, or reached amid a long wait
                break
        if max(now, due) >= self.deadline.value:
            if due < self.deadline.value:
                self.missed.append((due, self.deadline.value - due))
            return self.deadline.value
        self.sent_ns = now
        return due

    def next_due(self) -> int | None:
        """Return the next arrival's time if it is due already."""
        now = time.perf_counter_ns()
        return self.schedule.take(until_ns=now) if now < self.deadline.value else None


class ClosedArrivals:
    """The next query is due when the last one is answered."""

    sent_ns = 0
    missed: tuple[tuple[int, int], ...] = ()
    next = next_due = staticmethod(time.perf_counter_ns)
