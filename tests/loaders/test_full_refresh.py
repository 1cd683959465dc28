"""Invariant 9: a full refresh of a raw table shows the old rows until it is whole, and changes nothing if it fails."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from loaders import load, raw_columns
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees
from tests.loaders.people import SLOW_LOADER, each_once, kill_in_mid_load, write_people
from tests.waiting import wait_until, wait_while_running

SEGMENTS = "select count(*) from pg_inherits where inhparent = 'staging.people__rows'::regclass"
VISIBLE = (
    "select count(*), count(distinct id) from staging.people__rows "
    "where _load_id not in (select load_id from ops.loads where status <> 'complete')"
)


@contextmanager
def readers(project: Project, expected: int) -> Iterator[list[int]]:
    """Read what a staging view shows, over and over; an error if it is not whole, or a lock is waited for a second."""
    read: list[int] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def run() -> None:
        try:
            with psycopg.connect(project.address.conninfo, autocommit=True) as connection:
                connection.execute("set lock_timeout = '1s'")
                while not stop.is_set():
                    assert connection.execute(VISIBLE.encode()).fetchone() == (expected, expected)
                    read.append(expected)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield read
    finally:
        stop.set()
        thread.join()
    assert errors == []


@pytest.fixture
def landed(project: Project) -> int:
    """The number of records of one file, which has landed."""
    records = write_people(project, files=1, records=100)
    project.load("people")
    return records


def test_readers_see_the_old_rows_until_the_new_are_whole(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=6, records=40_000)
    project.load("people")
    with readers(project, records) as read:
        for _ in range(2):
            project.load("people", full_refresh=True, batch_files=2)
        # Longer than a reader waits for a lock.
        slow = project.start("load", "--full-refresh", "--batch-files", "2", script=SLOW_LOADER)
        _, said = slow.communicate(timeout=120)
    assert slow.returncode == 0, said
    assert len(read) > 3
    assert project.load("people").left == 0
    each_once(connection, records)
    # What no snapshot needs is dropped, with what the ledger knows of it.
    assert count(connection, SEGMENTS) == count(connection, "select count(*) from ops.segments") == 1
    statuses = connection.execute("select status, full_refresh, count(*) from ops.loads group by 1, 2 order by 1, 2")
    assert statuses.fetchall() == [("complete", True, 3), ("discarded", False, 1), ("discarded", True, 6)]
    assert count(connection, "select count(*) from ops.files where refreshing") == 0
    assert project.load("people").loads == []


@pytest.mark.parametrize("fault", ["ragged", "header", "damaged"])
def test_one_bad_file_changes_nothing(project: Project, connection: psycopg.Connection, fault: str) -> None:
    records = write_people(project, files=3, records=1000)
    project.load("people")
    before = connection.execute("select * from ops.segments").fetchall()
    bad = {"ragged": b"id,name,filler\n1\n", "header": b"id,na\0me\n1,2\n", "damaged": b"\x1f\x8b\x08\x00 no gzip"}
    project.write("people/002b.csv", bad[fault])
    done = project.run("load", "--full-refresh", "--batch-files", "2")
    assert done.returncode == 1
    assert "people/002b.csv" in done.stderr
    assert "nothing has changed" in done.stderr
    each_once(connection, records)
    assert connection.execute("select * from ops.segments").fetchall() == before
    assert count(connection, SEGMENTS) == 1
    (project.bronze / "people" / "002b.csv").unlink()
    assert project.run("load", "--full-refresh").returncode == 0
    each_once(connection, records)


def test_nothing_to_land_changes_nothing(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=2, records=100)
    project.load("people")
    (project.folder / "empty").mkdir()
    for root, message in (("empty", "no file matches"), ("nowhere", "which is not a folder")):
        done = project.run("load", "--full-refresh", BRONZE_ROOT=root)
        assert done.returncode == 1
        assert message in done.stderr
        each_once(connection, records)


def test_a_table_without_rows_and_without_files_is_no_problem(project: Project) -> None:
    write_people(project, files=1, records=10)
    project.declare("other")
    assert project.run("load", "--full-refresh").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_changes_nothing(
    project: Project, connection: psycopg.Connection, number: signal.Signals
) -> None:
    records = write_people(project, files=4, records=150_000)
    assert project.run("load").returncode == 0
    exit_code, said = kill_in_mid_load(project, number, "--full-refresh", after=0.1)
    assert exit_code in (143, -signal.SIGKILL), said
    assert connection.execute(VISIBLE.encode()).fetchone() == (records, records)
    wait_until(lambda: project.run("load").stdout == "people.rows: nothing new; 4 files landed before\n")
    each_once(connection, records)
    assert count(connection, SEGMENTS) == 1


def test_an_older_snapshot_keeps_the_old_rows(
    project: Project, landed: int, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "DROP_SECONDS", 0.1)
    with psycopg.connect(project.address.conninfo) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # The snapshot is older; the table is first read after the refresh.
        reader.execute("select 1 from ops.loads")
        assert project.load("people", full_refresh=True).left == 1
        assert project.load("people").left == 1
        assert reader.execute(VISIBLE.encode()).fetchone() == (landed, landed)
        assert connection.execute(VISIBLE.encode()).fetchone() == (landed, landed)
        reader.rollback()
        assert project.load("people").left == 0
    each_once(connection, landed)
    assert count(connection, SEGMENTS) == 1


def test_a_reader_that_holds_the_table_holds_up_nobody(
    project: Project, landed: int, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "DROP_SECONDS", 1.0)
    with psycopg.connect(project.address.conninfo) as holder:
        holder.execute(VISIBLE.encode())
        with readers(project, landed):
            assert project.load("people", full_refresh=True).left == 1
    assert project.load("people").left == 0
    assert count(connection, SEGMENTS) == 1


def test_new_columns_wait_without_holding_up_readers(
    project: Project, landed: int, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("people/wider.csv", "id,more\nx,y\n")
    with psycopg.connect(project.address.conninfo) as holder:
        holder.execute(VISIBLE.encode())
        with readers(project, landed):
            monkeypatch.setattr(raw_columns, "WIDEN_SECONDS", 1.0)
            [problem] = project.load("people").problems
    assert re.search(r"others held it .* \(more\)", str(problem))
    monkeypatch.undo()
    assert project.load("people").problems == []
    assert count(connection, "select count(more) from staging.people__rows") == 1


def test_a_builder_that_is_about_to_commit_is_waited_for(
    project: Project, landed: int, connection: psycopg.Connection
) -> None:
    with psycopg.connect(project.address.conninfo) as builder:
        key = "(1229866755, hashtext(format('%I.%I', 'staging', 'people__rows')))"
        builder.execute(f"select pg_advisory_xact_lock_shared{key}".encode())
        refresh = project.start("load", "--full-refresh")
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        wait_while_running(refresh, lambda: count(connection, waiting) > 0)
        assert connection.execute("select status from ops.loads order by load_id").fetchall() == [
            ("complete",),
            ("started",),
        ]
        builder.rollback()
        _, said = refresh.communicate(timeout=60)
        assert refresh.returncode == 0, said
    each_once(connection, landed)
    ledger_agrees(connection, "people")
