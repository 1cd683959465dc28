"""One worker a connection, in a closed or an open loop: connect, warm up, then measure."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from bench.errors import QueryFailed
from bench.queries.arrivals import ClosedArrivals, OpenArrivals, Schedule
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import DRIVERS, QUERY_ERRORS, Session, open_session, sentence
from bench.queries.latency import NS_PER_SECOND, WorkerResult
from bench.queries.run import Mix, Run

# PostgreSQL may settle on a generic plan at the sixth execution: a fast query is past that before the clock starts.
WARM_UP_QUERIES = 10
WARM_UP_SECONDS = 0.5
# As many as a worker draws; after the last comes the first again.
DRAWN_ARGUMENTS = 1000

Query = tuple[int, Arguments]


@dataclass(frozen=True)
class Workload:
    """One worker's share of a row: its queries, repeated from the first, and how many (None: as time allows)."""

    queries: Sequence[Query]
    quota: int | None

    @classmethod
    def drawn(cls, mix: Mix, quota: int | None, seed: str) -> "Workload":
        """Draw the queries, so that no time goes into it once the clock runs."""
        count = DRAWN_ARGUMENTS if quota is None else min(quota, DRAWN_ARGUMENTS)
        return cls(mix.draws(count, random.Random(seed)), quota)  # noqa: S311 - not a secret

    def __iter__(self) -> Iterator[Query]:
        return islice(cycle(self.queries), self.quota)


@asynccontextmanager
async def open_sessions(benchmarks: Sequence[Benchmark], run: Run, connections: int) -> AsyncIterator[list[Session]]:
    """Open the connections at once, and close them whatever happens."""
    opening = (open_session(run.driver, run.address, benchmarks) for _ in range(connections))
    opened = await asyncio.gather(*opening, return_exceptions=True)
    sessions = [one for one in opened if isinstance(one, Session)]
    try:
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure
        yield sessions
    finally:
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)


async def warm_up(session: Session, mix: Mix, run: Run) -> None:
    """Run each query a few times, or all for run.warm_up seconds, so that plans and pages are where they will stay."""
    source = random.Random(run.seed)  # noqa: S311 - not a secret
    for number, benchmark in enumerate(mix.benchmarks):
        until = time.monotonic() + WARM_UP_SECONDS
        for arguments in benchmark.draws(WARM_UP_QUERIES, source):
            await fetch(session, benchmark, arguments, number)
            if time.monotonic() > until:
                break
    until = time.monotonic() + (run.warm_up or 0)
    queries = cycle(mix.draws(DRAWN_ARGUMENTS, source))
    while time.monotonic() < until:
        number, arguments = next(queries)
        await fetch(session, mix.benchmarks[number], arguments, number)


async def fetch(session: Session, benchmark: Benchmark, arguments: Arguments, number: int = 0) -> list[tuple[Any, ...]]:
    """Return one answer, all its rows, outside the clock; QueryFailed carries the server's words."""
    try:
        rows = await session.fetch[number](*arguments)
    except QUERY_ERRORS as error:
        raise QueryFailed(
            f"{benchmark.name} has no answer for {arguments}: {sentence(error)} Build what it reads with `dbt build`."
        ) from error
    return [tuple(row) for row in rows]


async def run_workers(
    sessions: Sequence[Session], loads: Sequence[Workload], run: Run, schedule: Schedule | None, began_ns: int
) -> tuple[list[list[WorkerResult]], int]:
    """Run one worker a session until each has done its work or run.seconds are over.

    Return each worker's results, one a query, and how many queries were sent late.
    """
    deadline = began_ns + int(run.seconds * NS_PER_SECOND)
    workers = [
        Worker(session, load, OpenArrivals(schedule, deadline) if schedule else ClosedArrivals(), began_ns, deadline)
        for session, load in zip(sessions, loads, strict=True)
    ]
    is_pipelined = DRIVERS[run.driver].is_pipelined
    await asyncio.gather(*(one.work_in_batches(run.batch) if is_pipelined else one.work() for one in workers))
    return [one.results for one in workers], sum(one.arrivals.late for one in workers)


@dataclass
class Worker:
    """A worker on its session: it works until its load, its arrivals or its connection end, and counts failures."""

    session: Session
    load: Workload
    arrivals: ClosedArrivals | OpenArrivals
    began_ns: int
    deadline_ns: int
    results: list[WorkerResult] = field(init=False)

    def __post_init__(self) -> None:
        self.results = [WorkerResult(self.began_ns) for _ in self.session.fetch]

    async def work(self) -> None:
        """Run one query after another."""
        fetch, arrive, clock, deadline = self.session.fetch, self.arrivals.next, time.perf_counter_ns, self.deadline_ns
        records = [(result.latencies.append, result.answered.append) for result in self.results]
        for number, arguments in self.load:
            due = arrive()
            if due >= deadline:
                break
            try:
                await fetch[number](*arguments)
            except QUERY_ERRORS as error:
                self.results[number].fail(sentence(error))
                if self.session.is_closed():
                    break
            else:
                answered = clock()
                record, record_time = records[number]
                record(answered - due)
                record_time(answered)

    async def work_in_batches(self, size: int) -> None:
        """Send up to `size` queries a sync; in an open loop, those that are due."""
        assert self.session.fetch_many is not None  # noqa: S101 - a pipelined driver has it
        queries = iter(self.load)
        is_open = isinstance(self.arrivals, OpenArrivals)
        while batch := self._due(queries, size):
            try:
                replies = self.session.fetch_many([query for _, query in batch])
            except QUERY_ERRORS as error:
                for _, (number, _) in batch:
                    self.results[number].fail(sentence(error))
                if self.session.is_closed():
                    break
                continue
            for (due, (number, _)), reply in zip(batch, replies, strict=True):
                result = self.results[number]
                if reply.error is not None:
                    result.fail(sentence(reply.error))
                    continue
                # A closed loop has no time at which a query was due: its latency counts from the sending.
                result.latencies.append(reply.answered_ns - (due if is_open else reply.sent_ns))
                result.answered.append(reply.answered_ns)

    def _due(self, queries: Iterator[Query], size: int) -> list[tuple[int, Query]]:
        """Wait for the next query and take those that are due with it; return each with its time."""
        batch: list[tuple[int, Query]] = []
        due: int | None = self.arrivals.next()
        while due is not None and due < self.deadline_ns and (query := next(queries, None)) is not None:
            batch.append((due, query))
            due = self.arrivals.next_due() if len(batch) < size else None
        return batch
