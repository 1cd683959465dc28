"""Builders, readers and pg_dump at the same time: who waits for whom, for how long, and what they see."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.project.conftest import LOCK_MODEL, Dbt
from tests.project.full_refresh.conftest import MATERIALIZED, Items
from tests.project.full_refresh.readers import readers
from tests.waiting import wait_until, wait_while_running


@contextmanager
def builder(address: Address, model: str = "core.items") -> Iterator[psycopg.Connection]:
    """A session that builds the model, as another dbt does."""
    with connect(address) as session:
        session.execute("select pg_advisory_lock(%s, hashtext(%s))", [LOCK_MODEL, model])
        yield session


def runs(connection: psycopg.Connection, what: str) -> bool:
    """Tell whether another session's last statement has this in it."""
    asked = "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    return connection.execute(f"{asked} and query like %s", [f"%{what}%"]).fetchone() is not None


def is_free(connection: psycopg.Connection, model: str) -> bool:
    """Tell whether nobody builds the model."""
    keys = [LOCK_MODEL, model]
    if connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", keys).fetchone() != (True,):
        return False
    connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", keys)
    return True


def waits(connection: psycopg.Connection) -> bool:
    """Tell whether a dbt waits for another builder."""
    return runs(connection, "select pg_sleep(")


def looks_for_a_gap(items: Items) -> bool:
    """Tell whether a refresh waits for old snapshots, or for its locks."""
    return runs(items.connection, "do $gap$")


@MATERIALIZED
def test_the_second_builder_waits_and_says_for_whom(items: Items, materialized: str) -> None:
    command = items.command({"materialized": materialized})
    before = items.table_id()
    with builder(items.dbt.address) as other, items.dbt.running(*command) as second:
        wait_until(lambda: waits(items.connection))
        assert items.table_id() == before
        pid = other.info.backend_pid
        other.close()
        said = second.result().stdout
    assert f"core.items is being built by process {pid} (" in said
    assert items.table_id() != before


def test_after_the_wait_the_table_is_looked_up_in_the_catalog(items: Items) -> None:
    """The first of two first builds has made the table that the second's cache has not."""
    items.command({})
    items.connection.execute("alter table core.items rename to kept")
    with builder(items.dbt.address) as other, items.dbt.running("run", "--select", "items") as second:
        wait_until(lambda: waits(items.connection))
        items.connection.execute("alter table core.kept rename to items; update core.items set price = 0")
        before = items.table_id()
        other.close()
        done = second.result()
    assert done.returncode == 0, done.stdout
    assert items.table_id() == before, "an increment, not a first build"
    assert items.rows() == items.rows("public.raw_items")


def test_what_changes_no_table_waits_for_nobody(items: Items) -> None:
    items.command({})
    with builder(items.dbt.address):
        for command in (["compile"], ["show", "--limit", "1"], ["docs", "generate"], ["run", "--empty"]):
            done = items.dbt.run(*command, *(["--select", "items"] if command[0] != "docs" else []))
            assert done.returncode == 0, done.stdout
            assert "is being built" not in done.stdout


@MATERIALIZED
def test_two_full_refreshes_of_one_model_succeed(items: Items, materialized: str) -> None:
    """Each in a process of its own; both in their build at once, the second would fail on the first's __dbt_tmp."""
    command = items.command({"materialized": materialized, "pre_hook": "select pg_sleep(1)"})
    processes = [items.dbt.start(*command) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len(items.rows()) == 1000
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)


def test_a_killed_builder_makes_nobody_wait(items: Items) -> None:
    """Without client_connection_check_interval the server would finish the statement, and hold the model's lock."""
    process = items.dbt.start(*items.command({"pre_hook": "select pg_sleep(300)"}))
    try:
        wait_while_running(process, lambda: runs(items.connection, "pg_sleep(300)"))
        assert not is_free(items.connection, "core.items")
    finally:
        process.kill()
        said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    wait_until(lambda: is_free(items.connection, "core.items"), seconds=30)
    items.refresh()


def test_a_failed_node_releases_its_lock_before_the_next_node(
    items: Items, address: Address, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """On one thread; the second node goes on until the test has held the first one's lock."""
    # A query of pg_class: to_regclass() in a loop does not hear of a new table.
    waiting = (
        "{{ config(materialized='table', pre_hook=\"do $$ begin "
        "while not exists (select from pg_class where relname = 'done') loop perform pg_sleep(0.05); end loop; "
        'end $$") }} select 1 as number'
    )
    write_scratch_project(
        tmp_path, {"a_fails.sql": "{{ config(materialized='table') }} select 1 / 0 as number", "b_waits.sql": waiting}
    )
    dbt = Dbt(address, tmp_path, tmp_path)
    with dbt.running("run", "--threads", "1") as run:
        wait_until(lambda: not is_free(connection, "core.b_waits"))
        wait_until(lambda: is_free(connection, "core.a_fails"), seconds=5)
        connection.execute("create table public.done ()")
        assert run.result().returncode == 1


def test_a_snapshot_from_before_sees_the_whole_table(items: Items) -> None:
    """A repeatable-read reader that first reads the table after a swap would find it empty: the refresh takes the
    other way."""
    items.connection.execute("update public.raw_items set price = 0")
    old = items.table_id()
    with connect(items.dbt.address) as reader:
        reader.execute("begin isolation level repeatable read")
        reader.execute("select count(*) from public.raw_items")
        done = items.run(patience=1)
        assert reader.execute("select count(*), sum(price) > 0 from core.items").fetchone() == (1000, True)
        pid = reader.info.backend_pid
    assert done.returncode == 0, done.stdout
    assert "goes by difference, since it was not free for a swap in 1 s" in done.stdout
    assert f"snapshots from before it are open in process {pid}" in done.stdout
    assert items.table_id() == old
    assert items.rows() == items.rows("public.raw_items")
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)


def test_a_snapshot_that_ends_in_time_is_waited_for(items: Items) -> None:
    old = items.table_id()
    command = items.command({"patience": 30})
    with connect(items.dbt.address) as reader:
        reader.execute("begin isolation level repeatable read")
        reader.execute("select 1")
        with items.dbt.running(*command) as run:
            wait_until(lambda: looks_for_a_gap(items))
            assert items.table_id() == old
            reader.execute("commit")
            assert run.result().returncode == 0
    assert items.table_id() != old


def test_ones_own_sessions_are_not_waited_for(items: Items) -> None:
    """Another builder's long statement has locked what it reads before it took its snapshot."""
    old = items.table_id()
    with builder(items.dbt.address, "core.other") as other:
        other.execute("begin isolation level repeatable read")
        other.execute("select 1")
        items.refresh()
    assert items.table_id() != old


def test_a_reader_of_a_view_over_another_locked_table_does_not_wait(items: Items) -> None:
    """`create or replace view` waits for all that a view reads; under the table's lock, its readers would too."""
    items.connection.execute(
        "create table public.other (item_id bigint);"
        "create view core.joined as select item_id from core.items join public.other using (item_id)"
    )
    old = items.table_id()
    with (
        connect(items.dbt.address) as locker,
        readers(items.dbt.address, ["select count(*) from core.items"], longest_wait_ms=100) as answers,
    ):
        locker.execute("begin")
        locker.execute("lock table public.other in access exclusive mode")
        done = items.run(patience=2)
        locker.execute("rollback")
    assert done.returncode == 0, done.stdout
    assert "goes by difference, since it was not free for a swap in 2 s" in done.stdout
    assert items.table_id() == old
    assert {answer for _, _, answer in answers} == {(1000,)}
    items.refresh()
    assert items.table_id() != old


DUMP = ["--schema=core", "--schema=public", "--file=/dev/null", "--lock-wait-timeout=10000"]


def pg_dump(server: LocalServer, address: Address) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [server.binaries / "pg_dump", *DUMP], env=os.environ | address.environment, stderr=subprocess.PIPE, text=True
    )


def test_pg_dump_and_a_refresh_do_not_block_each_other(items: Items, server: LocalServer) -> None:
    """pg_dump locks the built table too, in one statement with the old one: a refresh that held one and waited for the
    other was a deadlock that nobody detected."""
    items.connection.execute(
        "create table public.big as select i, repeat('x', 100) as x from generate_series(1, 200000) as i"
    )
    stop = threading.Event()
    ended: list[tuple[float, int | None, str]] = []

    def dump() -> None:
        while not stop.is_set():
            began = time.monotonic()
            process = pg_dump(server, items.dbt.address)
            said = process.communicate(timeout=60)[1]
            ended.append((time.monotonic() - began, process.returncode, said))

    threads = [threading.Thread(target=dump) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            items.connection.execute("update public.raw_items set price = price + 1")
            done = items.run(patience=1)
            assert done.returncode == 0, done.stdout
            assert items.rows() == items.rows("public.raw_items")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(ended) > 4
    # One that had listed a table which was gone when it locked it ends with an error, which is not what is asked here.
    assert [said for _, code, said in ended if code != 0 and "does not exist" not in said] == []
    assert any(code == 0 for _, code, _ in ended)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "create publication feed for all tables with (publish = 'insert')",
            "somebody attached what a swap would lose: publication feed",
        ),
        ("grant select on core.items to public", "somebody changed its privileges, comments or storage parameters"),
    ],
)
def test_what_is_attached_while_it_builds_is_not_lost(items: Items, change: str, said: str) -> None:
    before = items.table_id(), items.rows()
    command = items.command({"patience": 30})
    with connect(items.dbt.address) as reader:
        reader.execute("begin; select 1 from core.items limit 1")
        with items.dbt.running(*command) as run:
            wait_until(lambda: looks_for_a_gap(items))
            items.connection.execute(change.encode())
            reader.execute("commit")
            done = run.result()
    assert done.returncode == 1
    assert said in done.stdout
    assert (items.table_id(), items.rows()) == before


def test_a_view_that_did_not_change_is_left_alone(
    address: Address, tmp_path: Path, connection: psycopg.Connection
) -> None:
    """dbt's own would wait for the reader, everybody else behind it, and drop the view on it."""
    write_scratch_project(tmp_path, {"numbers.sql": "select {{ var('number', 1) }} as number"})
    dbt = Dbt(address, tmp_path, tmp_path)
    dbt.succeed("run")
    connection.execute("create view public.on_it as select * from core.numbers")
    with connect(address) as reader:
        reader.execute("begin; select * from core.numbers")
        dbt.succeed("run")
    assert connection.execute("select number from public.on_it").fetchall() == [(1,)]
    dbt.succeed("run", "--vars", "{number: 2}")
    assert connection.execute("select number from core.numbers").fetchall() == [(2,)]
