"""One worker a connection, in a closed or an open loop: it asks until its work, its time or its connection ends."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from bench.errors import QueryFailed
from bench.queries.arrivals import ClosedArrivals, Moment, OpenArrivals
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import DRIVERS, QUERY_ERRORS, open_session, sentence
from bench.queries.latency import WorkerResult
from bench.queries.run import Mix, Run
from bench.queries.session import Session

# PostgreSQL may settle on a generic plan at the sixth execution: a fast query is past that before the clock starts.
WARM_UP_QUERIES = 10
WARM_UP_SECONDS = 0.5

Query = tuple[int, Arguments]


@dataclass(frozen=True)
class Workload:
    """One worker's share of a row: a pool of queries, where in it the worker begins, and how many it asks.

    Without a `quota` it asks as long as time allows: until the deadline and, in a closed loop, until it has `least`
    answers, but never longer than `most_ns` of the machine's clock. `first` is the number of the mix's first query
    among those that the session has prepared.
    """

    pool: Sequence[Query]
    offset: int
    quota: int | None = None
    least: int = 0
    most_ns: int = 0
    first: int = 0

    def __iter__(self) -> Iterator[Query]:
        return islice(cycle(self.pool), self.offset, None if self.quota is None else self.offset + self.quota)


@asynccontextmanager
async def open_sessions(benchmarks: Sequence[Benchmark], run: Run, connections: int) -> AsyncIterator[list[Session]]:
    """Open the connections at once, and close them whatever happens."""
    opening = (open_session(run.driver, run.address, benchmarks, run.timeout) for _ in range(connections))
    opened = await asyncio.gather(*opening, return_exceptions=True)
    sessions = [one for one in opened if isinstance(one, Session)]
    try:
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure
        yield sessions
    finally:
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)


async def warm_up(session: Session, mix: Mix, first: int, seed: int) -> None:
    """Run each query of a mix a few times, so that plans and pages are where they will stay."""
    source = random.Random(seed)  # noqa: S311 - not a secret
    for number, benchmark in enumerate(mix.benchmarks, start=first):
        until = time.monotonic() + WARM_UP_SECONDS
        for arguments in benchmark.draws(WARM_UP_QUERIES, source):
            await fetch(session, benchmark, arguments, number)
            if time.monotonic() > until:
                break


async def fetch(session: Session, benchmark: Benchmark, arguments: Arguments, number: int = 0) -> list[tuple[Any, ...]]:
    """Return one answer, all its rows, outside the clock; QueryFailed carries the server's words."""
    try:
        rows = await session.fetch[number](*arguments)
    except QUERY_ERRORS as error:
        raise QueryFailed(
            f"{benchmark.name} has no answer for {arguments}: {sentence(error)} Build what it reads with `dbt build`, "
            "or give it more time with --timeout."
        ) from error
    return [tuple(row) for row in rows]


@dataclass
class Worker:
    """A worker on its session, with its results by query; `ended_ns` is when it had no more to do."""

    session: Session
    load: Workload
    arrivals: ClosedArrivals | OpenArrivals
    deadline: Moment
    queries: int
    results: list[WorkerResult] = field(init=False)
    ended_ns: int = 0

    def __post_init__(self) -> None:
        self.results = [WorkerResult() for _ in range(self.queries)]

    async def work(self, run: Run) -> None:
        """Run the load, several queries a sync where the driver has a pipeline."""
        await (self._in_batches(run.batch) if DRIVERS[run.driver].is_pipelined else self._one_by_one())
        self.ended_ns = time.perf_counter_ns()

    async def _one_by_one(self) -> None:
        fetch, arrive, clock = self.session.fetch[self.load.first :], self.arrivals.next, time.perf_counter_ns
        deadline, arrivals, is_open = self.deadline, self.arrivals, isinstance(self.arrivals, OpenArrivals)
        records = [(result.latencies.append, result.answered.append, result.lags.append) for result in self.results]
        for number, arguments in self.load:
            due = arrive()
            if due >= deadline.value and self._has_enough(due):
                break
            try:
                await fetch[number](*arguments)
            except QUERY_ERRORS as error:
                self.results[number].fail(sentence(error))
                if self.session.is_closed():
                    break
            else:
                answered = clock()
                record, record_time, record_lag = records[number]
                record(answered - due)
                record_time(answered)
                if is_open:
                    record_lag(arrivals.sent_ns - due)

    async def _in_batches(self, size: int) -> None:
        """Send up to `size` queries a sync; in an open loop, those that are due."""
        assert self.session.fetch_many is not None  # noqa: S101 - a pipelined driver has it
        queries, first = iter(self.load), self.load.first
        is_open = isinstance(self.arrivals, OpenArrivals)
        while batch := self._due(queries, size):
            try:
                replies = self.session.fetch_many([(first + number, arguments) for _, (number, arguments) in batch])
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
                if is_open:
                    result.lags.append(reply.sent_ns - due)

    def _due(self, queries: Iterator[Query], size: int) -> list[tuple[int, Query]]:
        """Wait for the next query and take those that are due with it; return each with its time."""
        batch: list[tuple[int, Query]] = []
        due: int | None = self.arrivals.next()
        while due is not None and (due < self.deadline.value or not self._has_enough(due)):
            if (query := next(queries, None)) is None:
                break
            batch.append((due, query))
            due = self.arrivals.next_due() if len(batch) < size else None
        return batch

    def _has_enough(self, now_ns: int) -> bool:
        """Whether the worker may stop at its deadline."""
        done = sum(len(one.answered) + one.errors for one in self.results)
        return now_ns >= self.load.most_ns or done >= self.load.least
