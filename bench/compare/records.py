"""Time insert_records: COPY and executemany, a pool and a connection string, one task to four."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from psycopg_pool import AsyncConnectionPool

from bench.comparison import Comparison, Origin, Run, Variant, measure_comparison
from bench.errors import QueryFailed
from bench.generate.people import FIRST_NAMES, LAST_NAMES, OLDEST, YOUNGEST, places
from bench.queries.run import run_async
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
class Method:
    """A method of inserting records, `call_records` in each call."""

    use_copy: bool
    is_pooled: bool
    tasks: int
    call_records: int

    @property
    def title(self) -> str:
        """The method in words."""
        method, pool = "COPY" if self.use_copy else "executemany", "pool" if self.is_pooled else "no pool"
        return f"{method}, {pool}, {self.tasks} task{'s' if self.tasks > 1 else ''}"


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


def measure_records(
    address: Address, records: Sequence[Person], rounds: int, say: Callable[[str], None]
) -> list[Comparison]:
    """Compare methods for all records in one call, and for many small calls, each into an empty table."""
    count, small = len(records), records[: CALL_RECORDS * CALLS]
    methods = [
        Method(use_copy=use_copy, is_pooled=is_pooled, tasks=tasks, call_records=count)
        for use_copy, is_pooled in ((True, True), (True, False), (False, True))
        for tasks in TASKS
    ]
    small_calls = [
        Method(use_copy=use_copy, is_pooled=is_pooled, tasks=1, call_records=CALL_RECORDS)
        for use_copy in (True, False)
        for is_pooled in (True, False)
    ]
    with _table(address):
        return [
            measure_comparison(
                "one call", f"insert_records, {count:,} records in one call, into a table with a primary key",
                "records", [_variant(one, address, records) for one in methods], rounds, say, ratio_of="rate",
            ),
            measure_comparison(
                "small calls", f"insert_records, {len(small):,} records, {CALL_RECORDS:,} a call",
                "records", [_variant(one, address, small) for one in small_calls], rounds, say, ratio_of="rate",
            ),
        ]  # fmt: skip


def _variant(method: Method, address: Address, records: Sequence[Person]) -> Variant:
    measure = partial(_measure, method, address, records)
    origin: Origin = "ours" if method.use_copy else "reference"
    return Variant(name=method.title, title=method.title, count=len(records), measure=measure, origin=origin)


def _measure(method: Method, address: Address, records: Sequence[Person], _: int) -> Run:
    with connect(address) as connection:
        connection.execute(f"truncate {TABLE}".encode())
    return Run(seconds=run_async(_seconds(method, address, records)))


async def _seconds(method: Method, address: Address, records: Sequence[Person]) -> float:
    """Return the seconds of one run; a pool is open, with its connections made, before the clock starts."""
    size = method.call_records
    calls = [records[first : first + size] for first in range(0, len(records), size)]
    async with AsyncExitStack() as stack:
        where: str | AsyncConnectionPool = address.conninfo
        if method.is_pooled:
            where = AsyncConnectionPool(address.conninfo, min_size=method.tasks, max_size=method.tasks, open=False)
            await stack.enter_async_context(where)
            await where.wait()
        began = time.perf_counter()
        for call in calls:
            result = await insert_records(where, TABLE, call, max_tasks=method.tasks, use_copy=method.use_copy)
            if result.inserted != len(call):
                raise QueryFailed(f"{method.title}: {result.failed_chunks[0]}. Check the server, then measure again.")
        return time.perf_counter() - began


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
            if not connection.closed:
                connection.execute(drop)
