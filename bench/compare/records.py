"""Time insert_records: COPY against executemany, a pool against a connection string, one task to four, in turns."""

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool
from rich.table import Table

from bench.errors import QueryFailed
from bench.generate.people import FIRST_NAMES, LAST_NAMES, OLDEST, YOUNGEST, places
from bench.queries.report import circumstances
from loaders import insert_records
from loaders.connection import Address, connect

SCHEMA = "bench_records"
TABLE = f"{SCHEMA}.persons"
TASKS = (1, 2, 3, 4)
CALL_RECORDS = 1000
CALLS = 20


@dataclass(frozen=True, slots=True)
class Person:
    """A record as a program has it."""

    id: int
    name: str
    age: int
    is_married: bool
    city: str
    state: str
    country: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to insert the records; `is_split` makes it many small calls."""

    use_copy: bool
    is_pooled: bool
    tasks: int
    is_split: bool = False

    @property
    def name(self) -> str:
        """The case in words, without its tasks."""
        method = "COPY" if self.use_copy else "executemany"
        return f"{method}, {'pool' if self.is_pooled else 'no pool'}"


@dataclass(frozen=True)
class Timing:
    """A case's seconds, one a round, and how many records each round inserted."""

    case: Case
    records: int
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Records a second in the median round."""
        return self.records / statistics.median(self.seconds)


CASES = (
    *(
        Case(use_copy=use_copy, is_pooled=is_pooled, tasks=tasks)
        for use_copy, is_pooled in ((True, True), (True, False), (False, True))
        for tasks in TASKS
    ),
    *(
        Case(use_copy=use_copy, is_pooled=is_pooled, tasks=1, is_split=True)
        for use_copy in (True, False)
        for is_pooled in (True, False)
    ),
)


def persons(count: int, seed: int) -> list[Person]:
    """Draw persons; the same for the same count and seed."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    first, last, everywhere = FIRST_NAMES.split(), LAST_NAMES.split(), places()
    return [
        Person(
            number,
            f"{draw.choice(first)} {draw.choice(last)}",
            draw.randint(YOUNGEST, OLDEST),
            draw.random() < 0.5,
            *draw.choice(everywhere),
        )
        for number in range(1, count + 1)
    ]


async def time_cases(address: Address, records: Sequence[Person], rounds: int) -> list[Timing]:
    """Run every case once a round, each into an empty table: machines are noisy, and only runs in turns compare."""
    seconds: dict[Case, list[float]] = {case: [] for case in CASES}
    with _table(address):
        for _ in range(rounds):
            for case in CASES:
                seconds[case].append(await _time(address, case, records))
    return [Timing(case, len(_share(case, records)), tuple(spent)) for case, spent in seconds.items()]


def timings_table(timings: Sequence[Timing], rounds: int) -> Table:
    """Return a row a case; a ratio is to COPY's rate with a pool, one task, and calls of the same size."""
    table = Table(title=f"insert_records into a table with a primary key, medians of {rounds} alternating rounds")
    for heading in ("way", "records a call"):
        table.add_column(heading)
    for heading in ("tasks", "seconds", "records/s", "ratio"):
        table.add_column(heading, justify="right")
    for timing in timings:
        case = timing.case
        table.add_row(
            case.name,
            f"{CALL_RECORDS if case.is_split else timing.records:,}",
            str(case.tasks),
            f"{statistics.median(timing.seconds):.3f}",
            f"{timing.rate:,.0f}",
            f"{ratio(timing, timings):.2f}",
        )
    return table


def ratio(timing: Timing, timings: Sequence[Timing]) -> float:
    """Return the case's rate in units of COPY's with a pool and one task, in calls of the same size."""
    unit = Case(use_copy=True, is_pooled=True, tasks=1, is_split=timing.case.is_split)
    return timing.rate / next(one.rate for one in timings if one.case == unit)


def timings_figures(timings: Sequence[Timing], address: Address, rounds: int) -> dict[str, Any]:
    """Return the timings as JSON's types, the circumstances beside them."""
    return {
        **circumstances(address),
        "rounds": rounds,
        "cases": [
            {
                **asdict(timing.case),
                "records": timing.records,
                "seconds": timing.seconds,
                "records_per_second": timing.rate,
                "ratio": ratio(timing, timings),
            }
            for timing in timings
        ],
    }


async def _time(address: Address, case: Case, records: Sequence[Person]) -> float:
    """Return the seconds of one round; a pool is open, with its connections made, before the clock starts."""
    with connect(address) as connection:
        connection.execute(f"truncate {TABLE}".encode())
    share = _share(case, records)
    size = CALL_RECORDS if case.is_split else len(share)
    calls = [share[first : first + size] for first in range(0, len(share), size)]
    async with AsyncExitStack() as stack:
        where: str | AsyncConnectionPool = address.conninfo
        if case.is_pooled:
            where = AsyncConnectionPool(address.conninfo, min_size=case.tasks, max_size=case.tasks, open=False)
            await stack.enter_async_context(where)
            await where.wait()
        began = time.perf_counter()
        for call in calls:
            result = await insert_records(where, TABLE, call, max_tasks=case.tasks, use_copy=case.use_copy)
            if result.inserted != len(call):
                raise QueryFailed(f"{case.name}: {result.failed_chunks[0]}. See to the server, then measure again.")
        return time.perf_counter() - began


def _share(case: Case, records: Sequence[Person]) -> Sequence[Person]:
    return records[: CALL_RECORDS * CALLS] if case.is_split else records


@contextmanager
def _table(address: Address) -> Iterator[None]:
    """Make the table, in a schema of its own, and drop it at the end."""
    drop = f"drop schema if exists {SCHEMA} cascade".encode()
    with connect(address) as connection:
        connection.execute(drop)
        connection.execute(f"create schema {SCHEMA}".encode())
        connection.execute(
            f"create table {TABLE} (id bigint primary key, name text, age integer, is_married boolean, city text, "
            "state text, country text)".encode()
        )
        try:
            yield
        finally:
            connection.execute(drop)
