"""One worker a connection, in a closed or an open loop: connect, warm up, then measure."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, TypeVar

from bench.errors import QueryFailed
from bench.queries.arrivals import ClosedArrivals, OpenArrivals, Schedule
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import DRIVERS, QUERY_ERRORS, Session, open_session, sentence
from bench.queries.latency import NS_PER_SECOND, Tally, mark_seconds
from loaders.connection import Address

T = TypeVar("T")
# PostgreSQL may settle on a generic plan at the sixth execution: a fast query is past that before the clock starts.
WARM_UP_QUERIES = 10
WARM_UP_SECONDS = 0.5
# As many as a worker draws; after the last comes the first again.
DRAWN_ARGUMENTS = 1000


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run queries: where, by which driver, over how many connections, for how long at most, with which seed.

    `rate` (queries a second, of all connections) makes it an open loop. `warm_up` is in seconds a connection (None: a
    few queries each), `processes` None is one a core, `pipeline` the queries a sync of a driver in pipeline mode.
    """

    address: Address
    driver: str
    connections: int
    seconds: float
    seed: int
    rate: float | None = None
    warm_up: float | None = None
    processes: int | None = None
    pipeline: int = 50


@dataclass(frozen=True)
class Mix:
    """Queries and how often each is drawn, relative to the others; a single query is a mix of one."""

    benchmarks: tuple[Benchmark, ...]
    weights: tuple[int, ...]

    @classmethod
    def of(cls, benchmark: Benchmark) -> "Mix":
        """Return the mix of one query."""
        return cls((benchmark,), (1,))

    @property
    def name(self) -> str:
        """The query's name, or names and weights as --mix takes them."""
        if len(self.benchmarks) == 1:
            return self.benchmarks[0].name
        named = zip(self.benchmarks, self.weights, strict=True)
        return ",".join(f"{benchmark.name}={weight}" for benchmark, weight in named)

    def draws(self, count: int, source: random.Random) -> list[tuple[int, Arguments]]:
        """Draw `count` queries, by their numbers, and arguments for each."""
        if len(self.benchmarks) == 1:
            return [(0, arguments) for arguments in self.benchmarks[0].draws(count, source)]
        numbers = source.choices(range(len(self.benchmarks)), self.weights, k=count)
        return [(number, self.benchmarks[number].draws(1, source)[0]) for number in numbers]


@dataclass(frozen=True)
class Workload:
    """One worker's share of a row: its queries, used in turn, and how many (None: as time allows)."""

    queries: Sequence[tuple[int, Arguments]]
    quota: int | None

    @classmethod
    def drawn(cls, mix: Mix, quota: int | None, seed: str) -> "Workload":
        """Draw the queries, so that no time goes into it once the clock runs."""
        count = DRAWN_ARGUMENTS if quota is None else min(quota, DRAWN_ARGUMENTS)
        return cls(mix.draws(count, random.Random(seed)), quota)  # noqa: S311 - not a secret

    def __iter__(self) -> Iterator[tuple[int, Arguments]]:
        return islice(cycle(self.queries), self.quota)


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where it is installed; KeyboardInterrupt on Ctrl-C, after its connections close."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)


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
            await ask(session, benchmark, arguments, number)
            if time.monotonic() > until:
                break
    until = time.monotonic() + (run.warm_up or 0)
    queries = cycle(mix.draws(DRAWN_ARGUMENTS, source))
    while time.monotonic() < until:
        number, arguments = next(queries)
        await ask(session, mix.benchmarks[number], arguments, number)


async def run_workers(
    sessions: Sequence[Session], loads: Sequence[Workload], run: Run, schedule: Schedule | None, began_ns: int
) -> tuple[list[list[Tally]], int]:
    """Run one worker a session until each has done its work or run.seconds are over.

    Return each worker's tallies, one a query, and how many queries were sent late.
    """
    deadline = began_ns + int(run.seconds * NS_PER_SECOND)
    workers = [
        Worker(session, load, OpenArrivals(schedule, deadline) if schedule else ClosedArrivals(), began_ns, deadline)
        for session, load in zip(sessions, loads, strict=True)
    ]
    is_pipelined = DRIVERS[run.driver].is_pipelined
    await asyncio.gather(*(one.work_batches(run.pipeline) if is_pipelined else one.work() for one in workers))
    return [one.tallies for one in workers], sum(one.arrivals.late for one in workers)


async def ask(session: Session, benchmark: Benchmark, arguments: Arguments, number: int = 0) -> list[tuple[Any, ...]]:
    """Return one answer, all its rows, outside the clock; QueryFailed carries the server's words."""
    try:
        rows = await session.asks[number](*arguments)
    except QUERY_ERRORS as error:
        raise QueryFailed(
            f"{benchmark.name} has no answer for {arguments}: {sentence(error)} Build what it reads with `dbt build`."
        ) from error
    return [tuple(row) for row in rows]


@dataclass
class Worker:
    """A worker on its session: it asks until its load, its arrivals or its connection end, and counts every failure."""

    session: Session
    load: Workload
    arrivals: ClosedArrivals | OpenArrivals
    began_ns: int
    deadline_ns: int
    tallies: list[Tally] = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = [Tally() for _ in self.session.asks]

    async def work(self) -> None:
        """Ask one query after another."""
        asks, arrive, clock, deadline = self.session.asks, self.arrivals.next, time.perf_counter_ns, self.deadline_ns
        records = [tally.latencies.append for tally in self.tallies]
        mark = self.began_ns + NS_PER_SECOND
        for number, arguments in self.load:
            due = arrive()
            if due >= deadline:
                break
            try:
                await asks[number](*arguments)
            except QUERY_ERRORS as error:
                self.tallies[number].fail(sentence(error))
                if self.session.is_closed():
                    break
            else:
                answered = clock()
                if answered >= mark:
                    mark = mark_seconds(self.tallies, answered, mark)
                records[number](answered - due)

    async def work_batches(self, size: int) -> None:
        """Send up to `size` queries a sync, as many as should be answered in time; in an open loop, those due."""
        assert self.session.ask_many is not None  # noqa: S101 - a pipelined driver has it
        queries, mark = iter(self.load), self.began_ns + NS_PER_SECOND
        is_open = isinstance(self.arrivals, OpenArrivals)
        fitting = 1
        while batch := self._due(queries, min(size, fitting)):
            began = time.perf_counter_ns()
            try:
                replies = self.session.ask_many([query for _, query in batch])
            except QUERY_ERRORS as error:
                for _, (number, _) in batch:
                    self.tallies[number].fail(sentence(error))
                if self.session.is_closed():
                    break
                continue
            ended = time.perf_counter_ns()
            fitting = max(1, (self.deadline_ns - ended) * len(batch) // max(1, ended - began))
            for (due, (number, _)), reply in zip(batch, replies, strict=True):
                if reply.error is not None:
                    self.tallies[number].fail(sentence(reply.error))
                    continue
                if reply.answered_ns >= mark:
                    mark = mark_seconds(self.tallies, reply.answered_ns, mark)
                # A closed loop has no time at which a query was due: its latency counts from the sending.
                self.tallies[number].latencies.append(reply.answered_ns - (due if is_open else reply.sent_ns))

    def _due(self, queries: Iterator[tuple[int, Arguments]], size: int) -> list[tuple[int, tuple[int, Arguments]]]:
        """Wait for the next query and take those that are due with it; return each with its time."""
        batch: list[tuple[int, tuple[int, Arguments]]] = []
        due: int | None = self.arrivals.next()
        while due is not None and due < self.deadline_ns and (query := next(queries, None)) is not None:
            batch.append((due, query))
            due = self.arrivals.next_due() if len(batch) < size else None
        return batch


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
