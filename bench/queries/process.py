"""One process of the harness: its workers on event loops, started together with those of all other processes.

One event loop serves all connections of a process. Where calls block (libpq, the sleep until the next arrival of an
open loop), each connection has a thread and a loop of its own.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError, Thread
from typing import Any

from bench.queries.arrivals import Schedule
from bench.queries.drivers import DRIVERS
from bench.queries.latency import Counts, WorkerResult, pack, shares
from bench.queries.run import Mix, Run, run_async
from bench.queries.worker import Workload, open_sessions, run_workers, warm_up


@dataclass(frozen=True)
class LoopResult:
    """What one event loop saw of one row, by the machine's clock: its workers' results, one a query.

    Packed, it has counts in their place: one entry a query, the last of all together.
    """

    began_ns: int
    ended_ns: int
    processor_ns: int
    late: int
    results: Sequence[Sequence[WorkerResult]]
    counts: Sequence[Counts] = ()

    def packed(self) -> "LoopResult":
        """Return it without the raw results."""
        by_query = [list(some) for some in zip(*self.results, strict=True)]
        everything = [] if len(by_query) == 1 else [[result for some in by_query for result in some]]
        return replace(self, results=(), counts=[pack(some) for some in by_query + everything])


@dataclass(frozen=True)
class Process:
    """What one process is to do: the mix, a row a count, with which of all workers, as which of how many processes."""

    mix: Mix
    counts: Sequence[int | None]
    run: Run
    workers: range
    number: int
    processes: int

    @property
    def loops(self) -> list[range]:
        """The workers of each event loop: all in one, or one each where a call blocks its thread."""
        if DRIVERS[self.run.driver].blocks or self.run.rate is not None:
            return [self.workers[at : at + 1] for at in range(len(self.workers))]
        return [self.workers]

    def schedules(self) -> list[Schedule | None]:
        """Return a schedule a row of an open loop, shared by the process's event loops."""
        if self.run.rate is None:
            return [None for _ in self.counts]
        return [Schedule(self.run.rate, self.number, self.processes, count) for count in self.counts]

    def quotas(self, count: int | None) -> Sequence[int | None]:
        """Return how many queries each of these workers runs; in an open loop the schedule counts them instead."""
        if count is None or self.run.rate is not None:
            return [None for _ in self.workers]
        return shares(count, self.run.connections)[self.workers.start : self.workers.stop]


def run_process(outbox: "Connection[Any, Any]", barrier: Barrier, process: Process) -> None:
    """Run one process's workers for every row, and send the results of each event loop, or what failed."""
    schedules, loops = process.schedules(), process.loops
    outcomes: list[list[LoopResult] | Exception] = []

    def run_loop(workers: range) -> None:
        try:
            outcomes.append(run_async(_time_rows(barrier, process, schedules, workers)))
        except Exception as error:  # the parent raises it
            barrier.abort()
            outcomes.append(error)

    threads = [Thread(target=run_loop, args=[workers]) for workers in loops[1:]]
    for thread in threads:
        thread.start()
    run_loop(loops[0])
    for thread in threads:
        thread.join()
    failures = [one for one in outcomes if isinstance(one, Exception)]
    # The first failure broke the barrier for the others.
    told = next((one for one in failures if not isinstance(one, BrokenBarrierError)), next(iter(failures), None))
    # Packed when all have ended: it would take processor time from those that still run.
    results = [[row.packed() for row in rows] for rows in outcomes if isinstance(rows, list)]
    outbox.send(told or results)


async def _time_rows(
    barrier: Barrier, process: Process, schedules: Sequence[Schedule | None], workers: range
) -> list[LoopResult]:
    """Time these workers' share of each row; all event loops of all processes start a row together."""
    results = []
    mix, run = process.mix, process.run
    async with open_sessions(mix.benchmarks, run, len(workers)) as sessions:
        await asyncio.gather(*(warm_up(session, mix, run) for session in sessions))
        for count, schedule in zip(process.counts, schedules, strict=True):
            quotas = process.quotas(count)[workers.start - process.workers.start :][: len(workers)]
            drawn = zip(workers, quotas, strict=True)
            loads = [Workload.drawn(mix, quota, f"{run.seed} {worker}") for worker, quota in drawn]
            barrier.wait()
            began = time.perf_counter_ns() if schedule is None else schedule.begin()
            processor = time.thread_time_ns()
            found, late = await run_workers(sessions, loads, run, schedule, began)
            processor = time.thread_time_ns() - processor
            results.append(LoopResult(began, time.perf_counter_ns(), processor, late, found))
    return results
