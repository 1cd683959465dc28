"""One worker a connection in a closed loop, on one event loop: connect, warm up, then measure."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, TypeVar

from bench.benchmarks import Benchmark
from bench.drivers import QUERY_ERRORS, Session, open_session, sentence
from bench.errors import QueryFailed
from bench.latency import Tally
from loaders.connection import Address

T = TypeVar("T")
# PostgreSQL may settle on a generic plan at the sixth execution: a fast query is past that before the clock starts.
WARM_UP_QUERIES = 10
WARM_UP_SECONDS = 0.5
# As many as a worker draws; after the last comes the first again.
DRAWN_ARGUMENTS = 1000


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run queries: where, by which driver, over how many connections, for how long at most, with which seed."""

    address: Address
    driver: str
    connections: int
    seconds: float
    seed: int


@dataclass(frozen=True)
class Workload:
    """One worker's share of a row: its arguments, used in turn, and how many queries (None: as time allows)."""

    arguments: Sequence[tuple[int, ...]]
    quota: int | None

    @classmethod
    def drawn(cls, benchmark: Benchmark, quota: int | None, seed: str) -> "Workload":
        """Draw the arguments, so that no time goes into it once the clock runs."""
        count = DRAWN_ARGUMENTS if quota is None else min(quota, DRAWN_ARGUMENTS)
        return cls(benchmark.draws(count, random.Random(seed)), quota)  # noqa: S311 - not a secret


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where it is installed; KeyboardInterrupt on Ctrl-C, after its connections close."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def open_sessions(benchmark: Benchmark, run: Run, connections: int) -> AsyncIterator[list[Session]]:
    """Open the connections at once, and close them whatever happens."""
    opening = (open_session(run.driver, run.address, benchmark) for _ in range(connections))
    opened = await asyncio.gather(*opening, return_exceptions=True)
    sessions = [one for one in opened if isinstance(one, Session)]
    try:
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure
        yield sessions
    finally:
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)


async def warm_up(session: Session, benchmark: Benchmark, run: Run) -> None:
    """Run the query a few times, so that its plan and pages are where they will stay."""
    until = time.monotonic() + WARM_UP_SECONDS
    for arguments in benchmark.draws(WARM_UP_QUERIES, random.Random(run.seed)):  # noqa: S311 - not a secret
        await ask(session, benchmark, arguments)
        if time.monotonic() > until:
            return


async def run_workers(sessions: Sequence[Session], loads: Sequence[Workload], deadline_ns: int) -> list[Tally]:
    """Run one worker a session until each has done its work or the clock (perf_counter_ns) reaches the deadline."""
    return await asyncio.gather(*(_work(*one, deadline_ns) for one in zip(sessions, loads, strict=True)))


async def ask(session: Session, benchmark: Benchmark, arguments: tuple[int, ...]) -> Any:
    """Return one answer, the first row's first column, outside the clock; QueryFailed carries the server's words."""
    try:
        rows = await session.ask(*arguments)
    except QUERY_ERRORS as error:
        raise QueryFailed(
            f"{benchmark.name} has no answer for {arguments}: {sentence(error)} Build what it reads with `dbt build`."
        ) from error
    return rows[0][0] if rows else None


async def _work(session: Session, load: Workload, deadline_ns: int) -> Tally:
    """Ask one query after another until the quota, the deadline or the connection's end; count every failure."""
    tally = Tally()
    ask, record, clock = session.ask, tally.latencies.append, time.perf_counter_ns
    for arguments in islice(cycle(load.arguments), load.quota):
        began = clock()
        if began >= deadline_ns:
            break
        try:
            await ask(*arguments)
        except QUERY_ERRORS as error:
            tally.errors += 1
            tally.first_error = tally.first_error or sentence(error)
            if session.is_closed():
                break
        else:
            record(clock() - began)
    return tally


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
