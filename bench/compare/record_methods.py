"""Methods of inserting records from Python: insert_records, and what programs do without it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import islice
from typing import Any, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool

from bench.comparison import Origin
from loaders import insert_records

SCHEMA = "bench_records"
TABLE: LiteralString = "bench_records.persons"
COLUMNS: LiteralString = "(id, name, age, is_married, city, state, country)"
ROW: LiteralString = "(%s, %s, %s, %s, %s, %s, %s)"
UPDATE: LiteralString = (
    " on conflict (id) do update set name = excluded.name, age = excluded.age, is_married = excluded.is_married, "
    "city = excluded.city, state = excluded.state, country = excluded.country"
)
CHUNK = 1000
Where = str | AsyncConnectionPool[Any]


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
    """A method: `send` inserts records by a connection string, or by a pool of so many connections."""

    title: str
    send: Callable[[Any, Iterable[Person]], Awaitable[None]]
    pool: int = 0
    origin: Origin = "ours"


async def send_records(where: Where, records: Iterable[Person], call: int | None = None, **options: Any) -> None:
    """Insert by insert_records, in one call or in calls of so many records."""
    stream = iter(records)
    for some in [stream] if call is None else iter(lambda: list(islice(stream, call)), []):
        result = await insert_records(where, TABLE, some, **options)
        result.raise_for_failures()


async def send_singly(where: str, records: Iterable[Person], tail: LiteralString = "") -> None:
    """Insert each record by a statement and a transaction of its own, on one connection."""
    async with await psycopg.AsyncConnection.connect(where, autocommit=True) as connection:
        for record in records:
            await connection.execute(f"insert into {TABLE} {COLUMNS} values {ROW}{tail}", astuple(record))


async def send_batches(where: str, records: Iterable[Person], tail: LiteralString = "") -> None:
    """Insert CHUNK records by one INSERT of as many rows, on one connection."""
    stream = iter(records)
    async with await psycopg.AsyncConnection.connect(where, autocommit=True) as connection:
        while some := list(islice(stream, CHUNK)):
            rows = ", ".join([ROW] * len(some))
            values = [value for record in some for value in astuple(record)]
            await connection.execute(f"insert into {TABLE} {COLUMNS} values {rows}{tail}".encode(), values)


async def send_chunks(where: str, records: Iterable[Person], tail: LiteralString = "") -> None:
    """Insert fixed chunks of all records at once by executemany, each on a connection of its own, two at a time."""
    every = [astuple(record) for record in records]
    free = asyncio.Semaphore(2)

    async def send(rows: Sequence[tuple[Any, ...]]) -> None:
        async with (
            free,
            await psycopg.AsyncConnection.connect(where) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.executemany(f"insert into {TABLE} {COLUMNS} values {ROW}{tail}", rows)

    async with asyncio.TaskGroup() as group:
        for first in range(0, len(every), CHUNK):
            group.create_task(send(every[first : first + CHUNK]))


def one_call() -> list[Method]:
    """Return insert_records with all records in one call: its first is what the others are compared with."""
    pooled = [
        Method(
            title=f"COPY, pool, {tasks} task{'s' if tasks > 1 else ''}",
            send=partial(send_records, max_tasks=tasks),
            pool=tasks,
        )
        for tasks in (1, 2, 3, 4)
    ]
    others = [
        Method(title="COPY, no pool, 1 task", send=partial(send_records, max_tasks=1)),
        Method(
            title="executemany, pool, 1 task", send=partial(send_records, max_tasks=1, use_copy=False), pool=1,
            origin="reference",
        ),
    ]  # fmt: skip
    return [*pooled, *others]


def small_calls() -> list[Method]:
    """Return insert_records in calls of CHUNK records."""
    return [
        Method(
            title=f"{'COPY' if use_copy else 'executemany'}, {'pool' if pool else 'no pool'}, 1 task", pool=pool,
            send=partial(send_records, call=CHUNK, max_tasks=1, use_copy=use_copy),
            origin="ours" if use_copy else "reference",
        )
        for use_copy in (True, False)
        for pool in (1, 0)
    ]  # fmt: skip


def by_hand(*, upsert: bool) -> list[Method]:
    """Return insert_records beside what a program does by hand, to insert or to upsert."""
    options: dict[str, Any] = {"max_tasks": 1, "on_conflict": "update" if upsert else None}
    tail: LiteralString = UPDATE if upsert else ""
    ours = "COPY and a temporary table" if upsert else "COPY"
    return [
        Method(title=f"insert_records, {ours}", send=partial(send_records, **options)),
        Method(
            title="insert_records, executemany", send=partial(send_records, use_copy=False, **options),
            origin="reference",
        ),
        Method(title=f"INSERT of {CHUNK:,} rows", send=partial(send_batches, tail=tail), origin="reference"),
        Method(
            title=f"executemany, chunks of {CHUNK:,}, a connection each", send=partial(send_chunks, tail=tail),
            origin="reference",
        ),
        Method(title="an INSERT a record", send=partial(send_singly, tail=tail), origin="reference"),
    ]  # fmt: skip
