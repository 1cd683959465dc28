"""One process of the harness: its workers on event loops, started together with those of all other processes.

One event loop serves all connections of a process. Where calls block (libpq, DuckDB, the sleep until the next arrival
of an open loop), each connection has a thread and a loop of its own: a lane.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError, Thread
from typing import Any

from bench.queries.arrivals import Schedule
from bench.queries.drivers import DRIVERS
from bench.queries.latency import Counts, Tally, pack, shares
from bench.queries.worker import Mix, Run, Workload, open_sessions, run_async, run_workers, warm_up


@dataclass(frozen=True)
class LanePart:
    """What one event loop saw of one row: its workers' tallies, one a query; the clock is the machine's."""

    began_ns: int
    ended_ns: int
    processor_ns: int
    late: int
    tallies: list[list[Tally]]


@dataclass(frozen=True)
class Part:
    """What one process saw of one row, packed: the counts have one entry a query, the last are of all together."""

    began_ns: int
    ended_ns: int
    processor_ns: int
    late: int
    counts: list[Counts]

    @classmethod
    def packed(cls, lanes: Sequence[LanePart]) -> "Part":
        """Merge what the process's event loops saw."""
        by_query = [list(some) for some in zip(*(own for lane in lanes for own in lane.tallies), strict=True)]
        everything = [] if len(by_query) == 1 else [[tally for some in by_query for tally in some]]
        return cls(
            min(lane.began_ns for lane in lanes),
            max(lane.ended_ns for lane in lanes),
            sum(lane.processor_ns for lane in lanes),
            sum(lane.late for lane in lanes),
            [pack(some) for some in by_query + everything],
        )


@dataclass(frozen=True)
class Crew:
    """What one process is to do: the mix, a row a count, with which of all workers, as which of how many processes."""

    mix: Mix
    counts: Sequence[int | None]
    run: Run
    workers: range
    number: int
    processes: int

    @property
    def lanes(self) -> list[range]:
        """The workers of each event loop: all in one, or one each where a call blocks its thread."""
        if DRIVERS[self.run.driver].blocks or self.run.rate is not None:
            return [self.workers[at : at + 1] for at in range(len(self.workers))]
        return [self.workers]

    def schedules(self) -> list[Schedule | None]:
        """Return a schedule a row of an open loop, shared by the process's lanes."""
        if self.run.rate is None:
            return [None for _ in self.counts]
        return [Schedule(self.run.rate, self.number, self.processes, count) for count in self.counts]

    def quotas(self, count: int | None) -> Sequence[int | None]:
        """Return how many queries each of these workers asks; in an open loop the schedule counts them instead."""
        if count is None or self.run.rate is not None:
            return [None for _ in self.workers]
        return shares(count, self.run.connections)[self.workers.start : self.workers.stop]


def run_crew(outbox: "Connection[Any, Any]", barrier: Barrier, crew: Crew) -> None:
    """Run one process's workers for every row, and send the parts or what failed."""
    schedules, lanes = crew.schedules(), crew.lanes
    outcomes: list[list[LanePart] | Exception] = []

    def run_lane(workers: range) -> None:
        try:
            outcomes.append(run_async(_time_rows(barrier, crew, schedules, workers)))
        except Exception as error:  # the parent raises it
            barrier.abort()
            outcomes.append(error)

    threads = [Thread(target=run_lane, args=[workers]) for workers in lanes[1:]]
    for thread in threads:
        thread.start()
    run_lane(lanes[0])
    for thread in threads:
        thread.join()
    failures = [one for one in outcomes if isinstance(one, Exception)]
    # The first failure broke the barrier for the others.
    told = next((one for one in failures if not isinstance(one, BrokenBarrierError)), next(iter(failures), None))
    parts = [one for one in outcomes if isinstance(one, list)]
    outbox.send(told or [Part.packed(some) for some in zip(*parts, strict=True)])


async def _time_rows(
    barrier: Barrier, crew: Crew, schedules: Sequence[Schedule | None], workers: range
) -> list[LanePart]:
    """Time these workers' share of each row; all event loops of all processes start a row together."""
    parts = []
    mix, run = crew.mix, crew.run
    async with open_sessions(mix.benchmarks, run, len(workers)) as sessions:
        await asyncio.gather(*(warm_up(session, mix, run) for session in sessions))
        for count, schedule in zip(crew.counts, schedules, strict=True):
            quotas = crew.quotas(count)[workers.start - crew.workers.start :][: len(workers)]
            drawn = zip(workers, quotas, strict=True)
            loads = [Workload.drawn(mix, quota, f"{run.seed} {worker}") for worker, quota in drawn]
            barrier.wait()
            began = time.perf_counter_ns() if schedule is None else schedule.begin()
            processor = time.thread_time_ns()
            tallies, late = await run_workers(sessions, loads, run, schedule, began)
            processor = time.thread_time_ns() - processor
            parts.append(LanePart(began, time.perf_counter_ns(), processor, late, tallies))
    return parts
