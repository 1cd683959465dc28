"""insert_records on a real server: what lands, what is reported, what a cancel leaves."""

import asyncio
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from loaders import InsertResult, insert_records
from loaders.connection import Address
from loaders.errors import LoadError, RecordError, ServerError, SettingError
from tests.conftest import REPOSITORY
from tests.waiting import wait_while_running

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
TYPED = """
    create table typed (
        id bigint primary key, name text, price numeric(12, 3), ratio float8, is_on boolean, day date,
        moment timestamptz, took interval, token uuid, raw bytea, tags text[], grid integer[], doc jsonb, note json
    )
"""


@dataclass(frozen=True)
class Part:
    size: int
    label: str = "é"


class Owner(BaseModel):
    name: str
    born: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    id: int
    name: str | None = None
    price: Decimal | None = None
    ratio: float | None = None
    is_on: bool | None = None
    day: dt.date | None = None
    moment: dt.datetime | None = None
    took: dt.timedelta | None = None
    token: UUID | None = None
    raw: bytes | None = None
    tags: list[str | None] | None = None
    grid: list[list[int]] | None = None
    doc: Any = None
    note: Any = field(default=None)


class Item(BaseModel):
    id: int
    name: str | None


@pytest.fixture
def items(connection: psycopg.Connection) -> psycopg.Connection:
    """A connection to a database with a table `items`: id (key), name (unique too), a check and a default."""
    connection.execute(
        "create table items (id integer primary key check (id >= 0), name text unique, "
        "at timestamptz not null default now(), doubled integer generated always as (id * 2) stored)"
    )
    return connection


def insert(address: Address, table: str, records: Any, **options: Any) -> InsertResult:
    return asyncio.run(insert_records(address.conninfo, table, records, **options))


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"n{number}"} for number in numbers]


def ids(connection: psycopg.Connection) -> list[int]:
    return [row[0] for row in connection.execute("select id from items order by id").fetchall()]


WAYS = pytest.mark.parametrize("use_copy", [True, False], ids=["copy", "executemany"])


@WAYS
def test_every_type_arrives_as_it_was(address: Address, connection: psycopg.Connection, use_copy: bool) -> None:
    connection.execute(TYPED.encode())
    full = Typed(
        id=2**40, name='a\tb\n\\N "q" é€ 🐘', price=Decimal("-12345.678"), ratio=0.1, is_on=False,
        day=dt.date(2024, 2, 29), moment=MOMENT, took=dt.timedelta(days=-1, microseconds=5), token=UUID(int=7),
        raw=bytes(range(256)),
        tags=["a,b", '{"}', "", None, "NULL", "\\"], grid=[[1, 2], [3, -4]],
        doc={"part": Part(3), "owner": Owner(name="Ada", born=dt.date(1815, 12, 10)), "n": [1, None, "\t\\"]},
        note="plain text is a JSON string",
    )  # fmt: skip
    others = [
        Typed(id=1),
        Typed(id=3, doc=Jsonb(None), tags=[], note=[1.5]),
        Typed(id=4, price=Decimal("NaN"), ratio=1e300),
    ]

    result = insert(address, "typed", [full, *others], use_copy=use_copy)

    assert (result.inserted, result.failed_chunks) == (4, ())
    rows = connection.execute("select * from typed order by id").fetchall()
    assert rows[0] == (1, *[None] * 13)
    assert rows[1][-4:] == ([], None, None, [1.5])
    assert connection.execute("select doc = 'null' from typed where id = 3").fetchone() == (True,)
    assert str(rows[2][2]) == "NaN"
    assert rows[3] == (
        full.id, full.name, full.price, full.ratio, full.is_on, full.day, full.moment, full.took, full.token, full.raw,
        full.tags, full.grid,
        {"part": {"size": 3, "label": "é"}, "owner": {"name": "Ada", "born": "1815-12-10"}, "n": [1, None, "\t\\"]},
        full.note,
    )  # fmt: skip


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
typed_records = st.builds(
    Typed,
    id=st.integers(-(2**63), 2**63 - 1),
    name=st.none() | texts,
    price=st.none() | st.decimals(-(10**8), 10**8, places=3),
    ratio=st.none() | st.floats(allow_nan=False),
    is_on=st.none() | st.booleans(),
    day=st.none() | st.dates(),
    moment=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    took=st.none() | st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
    token=st.none() | st.uuids(),
    raw=st.none() | st.binary(max_size=10),
    tags=st.none() | st.lists(st.none() | texts, max_size=3),
    doc=documents,
    note=documents,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    records=st.lists(typed_records, max_size=20, unique_by=lambda record: record.id),
    use_copy=st.booleans(),
    chunk_size=st.none() | st.integers(1, 7),
    max_tasks=st.integers(1, 3),
)
def test_what_goes_in_comes_out(
    address: Address,
    connection: psycopg.Connection,
    records: list[Typed],
    use_copy: bool,
    chunk_size: int,
    max_tasks: int,
) -> None:
    connection.execute(f"drop table if exists typed; {TYPED}".encode())

    result = insert(address, "typed", iter(records), use_copy=use_copy, chunk_size=chunk_size, max_tasks=max_tasks)

    assert (result.failed_chunks, result.records, result.inserted) == ((), len(records), len(records))
    names = list(Typed.__slots__)
    landed = connection.execute(f"select {', '.join(names)} from typed".encode()).fetchall()
    wanted = [tuple(getattr(record, name) for name in names) for record in records]
    assert sorted(landed, key=lambda row: row[0]) == sorted(wanted, key=lambda row: row[0])


@WAYS
@pytest.mark.parametrize("as_record", [lambda r: r, lambda r: Item(**r)], ids=["dict", "pydantic"])
def test_the_result_says_what_was_done(
    address: Address, items: psycopg.Connection, use_copy: bool, as_record: Callable[[Any], Any]
) -> None:
    records = [as_record(record) for record in numbered(*range(25))]
    result = insert(address, "public.items", records, chunk_size=10, max_tasks=2, use_copy=use_copy)
    assert ids(items) == list(range(25))
    assert (result.records, result.inserted, result.chunk_size, result.total_chunks) == (25, 25, 10, 3)
    assert (result.successful_chunks, result.concurrency, result.failed_chunks) == (3, 2, ())
    assert 0 < result.avg_chunk_time < result.duration
    assert result.throughput == pytest.approx(25 / result.duration)
    result.raise_for_failures()


def test_no_records_is_no_work(address: Address, items: psycopg.Connection) -> None:
    result = insert(address, "items", [])
    assert (result.inserted, result.total_chunks, result.concurrency, result.throughput) == (0, 0, 0, 0.0)


@WAYS
def test_a_bad_chunk_fails_alone(address: Address, items: psycopg.Connection, use_copy: bool) -> None:
    records = numbered(*range(40))
    records[7]["id"] = -7  # the table's check refuses it
    records[12]["name"] = "a\0b"  # psycopg cannot write it
    records[25]["id"] = 2**40  # out of range
    records[31]["nick"] = "x"
    result = insert(address, "items", records, chunk_size=5, use_copy=use_copy)
    assert [chunk.records for chunk in result.failed_chunks] == [range(n, n + 5) for n in (5, 10, 25, 30)]
    assert ids(items) == [*range(5), *range(15, 25), *range(35, 40)]
    assert (result.inserted, result.records, result.successful_chunks, result.total_chunks) == (20, 40, 4, 8)
    check, nul, too_large, unlike = (chunk.error for chunk in result.failed_chunks)
    assert isinstance(check, psycopg.errors.CheckViolation)
    assert isinstance(nul, psycopg.DataError)
    assert isinstance(too_large, psycopg.errors.NumericValueOutOfRange)
    assert isinstance(unlike, RecordError)
    with pytest.raises(LoadError, match=r"4 of 8 chunks failed, first records 5 to 9: .*items_id_check") as raised:
        result.raise_for_failures()
    assert raised.value.__cause__ is check


def test_without_on_conflict_a_key_that_is_there_fails_its_chunk(address: Address, items: psycopg.Connection) -> None:
    insert(address, "items", numbered(3))
    result = insert(address, "items", numbered(*range(6)), chunk_size=3)
    assert ids(items) == [0, 1, 2, 3]
    [failed] = result.failed_chunks
    assert failed.records == range(3, 6)
    assert isinstance(failed.error, psycopg.errors.UniqueViolation)


@WAYS
def test_do_nothing_leaves_what_is_there(address: Address, items: psycopg.Connection, use_copy: bool) -> None:
    items.execute("insert into items values (3, 'old'), (4, 'n5')")
    result = insert(address, "items", numbered(*range(9)), chunk_size=3, on_conflict="nothing", use_copy=use_copy)
    assert (result.records, result.inserted, result.failed_chunks) == (9, 6, ())
    assert ids(items) == [0, 1, 2, 3, 4, 6, 7, 8]  # 5 has the name of another row
    assert items.execute("select name from items where id = 3").fetchone() == ("old",)


@WAYS
def test_do_nothing_on_one_key_fails_on_another(address: Address, items: psycopg.Connection, use_copy: bool) -> None:
    items.execute("insert into items values (3, 'old'), (40, 'n5')")
    result = insert(
        address, "items", numbered(*range(9)), chunk_size=3, on_conflict="nothing", key=["id"], use_copy=use_copy
    )
    assert [chunk.records for chunk in result.failed_chunks] == [range(3, 6)]
    assert ids(items) == [0, 1, 2, 3, 6, 7, 8, 40]


@WAYS
@pytest.mark.parametrize("key", [None, ["id"]])
def test_do_update_takes_the_record(address: Address, items: psycopg.Connection, use_copy: bool, key: Any) -> None:
    items.execute("insert into items values (3, 'old'), (77, 'other')")
    result = insert(
        address, "items", numbered(*range(9)), chunk_size=3, on_conflict="update", key=key, use_copy=use_copy
    )
    assert (result.inserted, result.failed_chunks) == (9, ())
    assert ids(items) == [*range(9), 77]
    assert items.execute("select name from items where id = 3").fetchone() == ("n3",)


def test_the_last_record_of_a_key_wins_with_one_task(address: Address, items: psycopg.Connection) -> None:
    records = [{"id": number % 4, "name": f"n{number}"} for number in range(40)]
    result = insert(address, "items", records, chunk_size=7, max_tasks=1, on_conflict="update")
    assert result.failed_chunks == ()
    assert items.execute("select name from items order by id").fetchall() == [("n36",), ("n37",), ("n38",), ("n39",)]


def test_tasks_that_deadlock_try_again(address: Address, items: psycopg.Connection) -> None:
    items.execute(f"alter database {address.database} set deadlock_timeout = '20ms'".encode())
    deadlocks = b"select deadlocks > 0 from pg_stat_database where datname = current_database()"
    forth, back = numbered(*range(500)), numbered(*reversed(range(500)))
    for _ in range(50):
        result = insert(
            address, "items", [*forth, *back] * 2, chunk_size=500, max_tasks=4, on_conflict="update", use_copy=False
        )
        assert result.failed_chunks == ()
        assert ids(items) == list(range(500))
        if items.execute(deadlocks).fetchone() == (True,):
            return
    pytest.fail("no deadlock came about")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"id": 1, "nick": "x"}, r"items: no column takes the fields \['nick'\]\. Name .*: id, name, at\.$"),
        ({"name": "x"}, r"items: the records lack \['id'\], not null and without a default"),
        ({"id": 1, "doubled": 2}, r"no column takes the fields \['doubled'\]"),
        ({"naem": "x"}, r"\['naem'\], and the records lack \['id'\]"),
    ],
)
def test_fields_are_checked_before_anything_is_sent(
    address: Address, items: psycopg.Connection, record: Any, said: str
) -> None:
    with pytest.raises(RecordError, match=said):
        insert(address, "items", [record])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "nowhere"}, 'relation "nowhere" does not exist'),
        ({"table": "no such.table"}, "no such.table: "),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"max_tasks": 0}, "max_tasks 0"),
        ({"on_conflict": "ignore"}, "on_conflict is 'ignore'"),
        ({"on_conflict": "update", "key": ["at"]}, r"\('at',\) is none\. Unique keys: id; name\."),
        ({"on_conflict": "update", "key": ["name"], "records": [{"id": 1}]}, r"\('name',\) is none"),
        ({"conninfo_or_pool": None}, "conninfo_or_pool is NoneType"),
        ({"conninfo_or_pool": "host=here password=s3 cret"}, "cannot be read"),
    ],
)
def test_arguments_that_cannot_be_used(
    address: Address, items: psycopg.Connection, options: dict[str, Any], said: str
) -> None:
    arguments = {"conninfo_or_pool": address.conninfo, "table": "items", "records": numbered(1)} | options
    with pytest.raises(SettingError, match=said) as raised:
        asyncio.run(insert_records(**arguments))
    assert "cret" not in str(raised.value)
    assert ids(items) == []


def test_no_server_is_told_at_once_and_without_the_password() -> None:
    with pytest.raises(ServerError, match=r"No connection: .*Check the connection string") as raised:
        asyncio.run(insert_records("host=127.0.0.1 port=1 password=geheim", "items", numbered(1)))
    assert "geheim" not in str(raised.value)


def test_names_are_quoted(address: Address, connection: psycopg.Connection) -> None:
    connection.execute(
        'create schema "Odd ""one"; create table "Odd ""one"."T%s" ("Id%s" int primary key, "or""der" text)'
    )
    for use_copy in (True, False):
        records = [{"Id%s": number, 'or"der': "x"} for number in range(3)]
        result = insert(address, '"Odd ""one"."T%s"', records, on_conflict="update", use_copy=use_copy)
        assert (result.inserted, result.failed_chunks) == (3, ())


def test_keys_of_several_columns_and_of_partial_indexes(address: Address, connection: psycopg.Connection) -> None:
    connection.execute(
        "create table pairs (a int, b int, c int, primary key (b, a) include (c));"
        "create unique index on pairs (c) where c > 0"
    )
    records = [{"a": 1, "b": number, "c": 0} for number in range(3)]
    assert insert(address, "pairs", records, on_conflict="update").inserted == 3
    assert insert(address, "pairs", records, on_conflict="update", key=("a", "b")).inserted == 3
    with pytest.raises(SettingError, match=r"Unique keys: a, b\."):
        insert(address, "pairs", records, on_conflict="update", key=["c"])


def test_a_pool_is_shared_and_left_open(address: Address, items: psycopg.Connection) -> None:
    async def run() -> None:
        options = {"autocommit": True, "row_factory": psycopg.rows.dict_row, "cursor_factory": psycopg.AsyncRawCursor}
        async with AsyncConnectionPool(address.conninfo, kwargs=options, min_size=2, max_size=2, open=False) as pool:
            await pool.wait()
            calls = (
                insert_records(
                    pool, "items", numbered(*range(n, n + 50)), chunk_size=10, max_tasks=8, use_copy=n % 100 > 0
                )
                for n in range(0, 250, 50)
            )
            results = await asyncio.gather(*calls)
            assert [result.inserted for result in results] == [50] * 5
            assert {result.concurrency for result in results} == {2}, "a pool of two lets no more than two work"
            assert pool.get_stats()["connections_num"] == 2
            async with pool.connection() as connection:
                assert await (await connection.execute("select 1 as one")).fetchone() == {"one": 1}

    asyncio.run(run())
    assert ids(items) == list(range(250))


def slow_after(count: int, on_slow: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """Yield records for ever; call `on_slow` once, behind the first `count`."""
    for number in range(10**9):
        if number == count:
            on_slow()
        yield {"id": number, "name": f"n{number}"}


def whole_chunks_only(connection: psycopg.Connection, chunk_size: int) -> int:
    """Assert that every chunk is there wholly or not at all, and return how many are."""
    counts = connection.execute("select id / %s, count(*) from items group by 1", [chunk_size]).fetchall()
    assert {count for _, count in counts} <= {chunk_size}
    return len(counts)


async def cancelled(work: Awaitable[Any]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await work


@WAYS
def test_a_cancel_leaves_whole_chunks_and_a_pool_that_works(
    address: Address, items: psycopg.Connection, use_copy: bool
) -> None:
    async def run() -> None:
        async with AsyncConnectionPool(address.conninfo, min_size=2, max_size=2, open=False) as pool:
            await pool.wait()
            for delay in (0.0, 0.01, 0.05, 0.2, 0.3):
                begun = asyncio.Event()
                items.execute("truncate items")
                task = asyncio.create_task(
                    insert_records(pool, "items", slow_after(3000, begun.set), chunk_size=1000, use_copy=use_copy)
                )
                await begun.wait()
                await asyncio.sleep(delay)
                task.cancel()
                await cancelled(task)
                whole_chunks_only(items, 1000)
                items.execute("truncate items")
                assert (await insert_records(pool, "items", numbered(1, 2))).inserted == 2

    asyncio.run(run())


def test_a_chunk_that_waits_is_cancelled_and_leaves_nothing(address: Address, items: psycopg.Connection) -> None:
    async def run() -> None:
        task = asyncio.create_task(insert_records(address.conninfo, "items", numbered(*range(100))))
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        while items.execute(waiting.encode()).fetchone() != (1,):
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()
        await cancelled(task)

    with psycopg.connect(address.conninfo) as blocker:
        blocker.execute("lock table items in share row exclusive mode")
        asyncio.run(run())
        blocker.rollback()
    assert ids(items) == []


def test_backends_that_are_killed_cost_their_chunks_only(address: Address, items: psycopg.Connection) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        yield from numbered(*range(20_000))
        items.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ingot records'")
        yield from numbered(*range(20_000, 50_000))

    result = insert(address, "items", stream(), chunk_size=5_000, max_tasks=2)
    assert 1 <= len(result.failed_chunks) <= 2
    assert all(isinstance(chunk.error, psycopg.OperationalError) for chunk in result.failed_chunks)
    assert result.inserted == len(ids(items)) == 5_000 * result.successful_chunks
    assert result.total_chunks == 10
    assert whole_chunks_only(items, 5_000) == result.successful_chunks


def test_records_that_raise_end_the_call_and_say_what_is_in(address: Address, items: psycopg.Connection) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        yield from numbered(*range(250))
        raise ConnectionResetError("the source went away")

    with pytest.raises(ConnectionResetError, match="the source went away") as raised:
        insert(address, "items", stream(), chunk_size=100, max_tasks=1)
    assert raised.value.__notes__ == ["200 records in 2 chunks had been inserted before."]
    assert ids(items) == list(range(200))


ENDLESS = """
import asyncio, sys
from itertools import count
from loaders import insert_records

records = ({"id": number, "name": f"n{number}"} for number in count())
print("started", flush=True)
asyncio.run(insert_records(sys.argv[1], "items", records, chunk_size=1000))
"""


def test_ctrl_c_leaves_whole_chunks(address: Address, items: psycopg.Connection) -> None:
    command = [sys.executable, "-c", ENDLESS, address.conninfo]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as started:
        many = "select count(*) > 5000 from items"
        wait_while_running(started, lambda: items.execute(many).fetchone() == (True,))
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=30)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert started.returncode != 0
    assert whole_chunks_only(items, 1000) >= 5


def test_the_command_line_starts_without_the_pool() -> None:
    code = "import sys, json, loaders.__main__; print(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    modules = json.loads(ended.stdout)
    assert "loaders" in modules
    assert not {"psycopg_pool", "loaders.records", "pydantic"} & {*modules}
