"""Time methods of inserting records: insert_records in one call and in many, beside what programs do by hand."""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import uvloop
from psycopg_pool import AsyncConnectionPool

from bench.compare.record_methods import (
    SCHEMA,
    TABLE,
    Method,
    Person,
    by_hand,
    one_call,
    send_chunks,
    send_records,
    small_calls,
)
from bench.comparison import Comparison, Run, Variant, measure_comparison
from bench.generate.people import FIRST_NAMES, LAST_NAMES, OLDEST, YOUNGEST, places
from loaders.connection import Address, connect

# Methods that take a millisecond a record are measured on fewer.
FEWER = 20_000
PREPARE = f"truncate {TABLE}"
HALF = f"insert into {TABLE} select n, 'old', 1, false, 'old', 'old', 'old' from generate_series(1, %s, 2) as n"
STATUS = Path("/proc/self/status")


def draw_persons(count: int, seed: int) -> Iterator[Person]:
    """Draw persons; the same for the same count and seed."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    first, last, everywhere = FIRST_NAMES.split(), LAST_NAMES.split(), places()
    for number in range(1, count + 1):
        yield Person(
            number,
            f"{draw.choice(first)} {draw.choice(last)}",
            draw.randint(YOUNGEST, OLDEST),
            draw.random() < 0.5,
            *draw.choice(everywhere),
        )


def measure_records(
    address: Address, *, rows: int, seed: int, rounds: int, say: Callable[[str], None]
) -> list[Comparison]:
    """Compare methods, each into a table that is empty, or has every other record already where they upsert."""
    records = list(draw_persons(rows, seed))
    fewer = records[:FEWER]
    small = "insert_records, {} records, 1,000 a call"
    jobs = (
        (
            "one call",
            f"insert_records, {rows:,} records in one call, into a table with a primary key",
            records,
            one_call(),
            False,
        ),
        ("small calls", small.format(f"{len(fewer):,}"), fewer, small_calls(), False),
        ("by hand", f"{len(fewer):,} records into a table with a primary key", fewer, by_hand(upsert=False), False),
        ("upsert", f"{len(fewer):,} records, half of whose keys are there", fewer, by_hand(upsert=True), True),
    )
    with _table(address):
        found = [
            measure_comparison(
                name, title, "records", [_variant(one, address, some, half) for one in methods], rounds, say,
                ratio_of="rate",
            )
            for name, title, some, methods, half in jobs
        ]  # fmt: skip
        title = f"{rows:,} records from an iterator, in a process of their own"
        in_child = [_in_child(name, address, rows, seed) for name in CHILDREN]
        return [*found, measure_comparison("memory", title, "records", in_child, rounds, say, ratio_of="rate")]


def _variant(method: Method, address: Address, records: Sequence[Person], half: bool) -> Variant:
    def measure(_: int) -> Run:
        _prepare(address, len(records) if half else 0)
        return Run(seconds=uvloop.run(_seconds(method, address, records)))

    return Variant(name=method.title, title=method.title, count=len(records), measure=measure, origin=method.origin)


def _prepare(address: Address, half_of: int) -> None:
    with connect(address) as connection:
        connection.execute(PREPARE.encode())
        if half_of:
            connection.execute(HALF.encode(), [half_of])
            connection.execute(f"analyze {TABLE}".encode())


async def _seconds(method: Method, address: Address, records: Iterable[Person]) -> float:
    """Return the seconds of one run; a pool is open, with its connections made, before the clock starts."""
    async with AsyncExitStack() as stack:
        where: str | AsyncConnectionPool = address.conninfo
        if method.pool:
            where = AsyncConnectionPool(address.conninfo, min_size=method.pool, max_size=method.pool, open=False)
            await stack.enter_async_context(where)
            await where.wait()
        began = time.perf_counter()
        await method.send(where, records)
        return time.perf_counter() - began


# What a process of its own does with the records.
CHILDREN = {
    "COPY, from an iterator": Method(title="", send=partial(send_records, max_tasks=1)),
    "executemany, chunks of 1,000, a connection each": Method(title="", send=send_chunks, origin="reference"),
}


def _in_child(name: str, address: Address, rows: int, seed: int) -> Variant:
    def measure(_: int) -> Run:
        _prepare(address, 0)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, peak_bytes = pool.apply(run_in_child, (name, address, rows, seed))
        return Run(seconds=seconds, peak_bytes=peak_bytes)

    return Variant(name=name, title=name, count=rows, measure=measure, origin=CHILDREN[name].origin)


def run_in_child(name: str, address: Address, rows: int, seed: int) -> tuple[float, int]:
    """Return the seconds of a method and the peak of this process, in bytes."""
    seconds = uvloop.run(_seconds(CHILDREN[name], address, draw_persons(rows, seed)))
    return seconds, _peak_bytes()


def _peak_bytes() -> int:
    """Return this program's peak: the kernel's figure for the process has what its parent held at the fork."""
    if not STATUS.exists():
        return int(psutil.Process().memory_info().rss)
    [line] = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


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
