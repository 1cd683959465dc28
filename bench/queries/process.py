"""One process of the harness: its workers on event loops, which do what the parent says, all at the same moment.

One event loop serves all connections of a process. Where calls block (libpq, the sleep until the next arrival of an
open loop), each connection has a thread and a loop of its own.
"""

import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

import uvloop

from bench.queries.arrivals import ClosedArrivals, Moment, OpenArrivals, Schedule
from bench.queries.drivers import DRIVERS
from bench.queries.latency import NS_PER_SECOND, Counts, WorkerResult, pack, shares
from bench.queries.run import Mix, Run
from bench.queries.session import Session
from bench.queries.worker import Query, Worker, Workload, open_sessions, warm_up

# As many queries as a process draws for a row, before its clock starts; after the last comes the first again.
POOL = 100_000


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all processes are to do next: one mix, by its number, and for how long.

    `count` is of all connections (None: as time allows), `least` of each; `warms` says that each query runs a few times
    first, before the clock.
    """

    mix: int
    count: int | None
    seconds: float
    seed: str
    rate: float | None = None
    least: int = 0
    most_seconds: float = 0
    warms: bool = False


@dataclass(frozen=True)
class Start:
    """The moment at which all begin."""

    began_ns: int


@dataclass(frozen=True)
class Report:
    """Asks for the counts; until `busy_until_ns` no connection was idle."""

    busy_until_ns: int
    with_timeline: bool = False


@dataclass(frozen=True)
class Ended:
    """One process's end of a task, by the machine's clock: its last worker's, its first one's, processor time used."""

    ended_ns: int
    idle_ns: int
    processor_ns: int


@dataclass(frozen=True)
class Process:
    """One process's share: the mixes, how to run them, which of all workers, as which of how many processes."""

    mixes: Sequence[Mix]
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

    def quotas(self, task: Task) -> Sequence[int | None]:
        """Return how many queries each of these workers runs; in an open loop the schedule counts them instead."""
        if task.count is None or task.rate is not None:
            return [None for _ in self.workers]
        return shares(task.count, self.run.connections)[self.workers.start : self.workers.stop]

    def pool(self, task: Task) -> list[Query]:
        """Draw queries for all its workers, so that no time goes into it once the clock runs."""
        asked = [quota for quota in self.quotas(task) if quota is not None]
        size = min(sum(asked), POOL) if asked else POOL
        return self.mixes[task.mix].draws(max(size, 1), random.Random(f"{task.seed} {self.number}"))  # noqa: S311

    def schedule(self, task: Task) -> Schedule | None:
        """Return this process's part of an open loop's arrivals."""
        if task.rate is None:
            return None
        total = None if task.count is None else shares(task.count, self.processes)[self.number]
        return Schedule(task.rate / self.processes, total, f"{task.seed} {self.number}")


@dataclass
class Job:
    """A task in this process: its pool and schedule, and the workers that are on it."""

    task: Task
    pool: Sequence[Query]
    schedule: Schedule | None
    quotas: Sequence[int | None]
    began_ns: int = 0
    processor_ns: list[int] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)


def run_process(pipe: "Connection[Any, Any]", process: Process, deadline: Moment) -> None:
    """Do what comes through the pipe: a Task (prepare it), Start (run it), Report (count it); answer each.

    None ends it. What fails is sent as the exception that it was; the parent raises it.
    """
    inboxes: list[SimpleQueue[Any]] = [SimpleQueue() for _ in process.loops]
    outbox: SimpleQueue[Exception | None] = SimpleQueue()
    threads = [
        Thread(target=_serve, args=(process, workers, deadline, inbox, outbox), daemon=True)
        for workers, inbox in zip(process.loops, inboxes, strict=True)
    ]
    for thread in threads:
        thread.start()

    def of_all(message: object) -> Exception | None:
        for inbox in inboxes:
            inbox.put(message)
        outcomes = [outbox.get() for _ in inboxes]
        return next((one for one in outcomes if one is not None), None)

    job: Job | None = None
    while (message := _received(pipe)) is not None:
        if isinstance(message, Task):
            job = Job(message, process.pool(message), process.schedule(message), process.quotas(message))
            pipe.send(of_all(job))
            continue
        assert job is not None  # noqa: S101 - a task comes first
        if isinstance(message, Start):
            job.began_ns = message.began_ns
            if job.schedule is not None:
                job.schedule.begin(message.began_ns)
            failure = of_all(message)
            ends = [worker.ended_ns for worker in job.workers] or [0]  # none where one failed
            pipe.send(failure or Ended(max(ends), min(ends), sum(job.processor_ns)))
        elif isinstance(message, Report):
            pipe.send(_counts(job, message, deadline.value))
    for inbox in inboxes:
        inbox.put(None)
    for thread in threads:
        thread.join()


def _received(pipe: "Connection[Any, Any]") -> object:
    """Return the parent's next message; end at once where there is no parent any more."""
    try:
        return pipe.recv()
    except EOFError:
        os._exit(1)


def _counts(job: Job, report: Report, deadline_ns: int) -> list[Counts]:
    """Return the counts of each query and, where there are several, of all together, which have the unsent ones."""
    by_query = [list(some) for some in zip(*(worker.results for worker in job.workers), strict=True)]
    waited = [] if job.schedule is None else job.schedule.unsent(deadline_ns)
    waited += [one for worker in job.workers for one in worker.arrivals.missed]

    def counted(results: Sequence[WorkerResult], waited: Sequence[tuple[int, int]]) -> Counts:
        return pack(results, job.began_ns, report.busy_until_ns, waited, with_timeline=report.with_timeline)

    if len(by_query) == 1:
        return [counted(by_query[0], waited)]
    total = counted([result for some in by_query for result in some], waited)
    return [*(counted(some, []) for some in by_query), total]


def _serve(
    process: Process, workers: range, deadline: Moment, inbox: "SimpleQueue[Any]",
    outbox: "SimpleQueue[Exception | None]",
) -> None:  # fmt: skip
    """Run one event loop with its workers' sessions; each message is answered by None, or by what failed."""
    try:
        uvloop.run(_answer(process, workers, deadline, inbox, outbox))
    except Exception as error:  # the parent raises it
        outbox.put(error)


async def _answer(
    process: Process, workers: range, deadline: Moment, inbox: "SimpleQueue[Any]",
    outbox: "SimpleQueue[Exception | None]",
) -> None:  # fmt: skip
    benchmarks = [one for mix in process.mixes for one in mix.benchmarks]
    async with open_sessions(benchmarks, process.run, len(workers)) as sessions:
        while (message := inbox.get()) is not None:
            if isinstance(message, Job):
                job = message
                mix = process.mixes[job.task.mix]
                first = sum(len(one.benchmarks) for one in process.mixes[: job.task.mix])
                if job.task.warms:
                    await asyncio.gather(*(warm_up(one, mix, first, process.run.seed) for one in sessions))
            else:
                some = [
                    _worker(process, job, number, session, deadline, first, len(mix.benchmarks))
                    for number, session in zip(workers, sessions, strict=True)
                ]
                while (now := time.perf_counter_ns()) < job.began_ns:
                    time.sleep((job.began_ns - now) / NS_PER_SECOND)  # noqa: ASYNC251 - nothing else is to run
                processor = time.thread_time_ns()
                await asyncio.gather(*(one.work(process.run) for one in some))
                job.processor_ns.append(time.thread_time_ns() - processor)
                job.workers += some
            outbox.put(None)


def _worker(
    process: Process, job: Job, number: int, session: Session, deadline: Moment, first: int, queries: int
) -> Worker:
    at = number - process.workers.start
    load = Workload(
        job.pool, at * len(job.pool) // len(process.workers), job.quotas[at], job.task.least,
        job.began_ns + int(job.task.most_seconds * NS_PER_SECOND), first,
    )  # fmt: skip
    arrivals = ClosedArrivals() if job.schedule is None else OpenArrivals(job.schedule, deadline)
    return Worker(session, load, arrivals, deadline, queries)
