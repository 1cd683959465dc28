"""Invariants 1 and 2: wholly or not at all, and once, through reruns, rivals and kills."""

import signal

import psycopg
import pytest

from loaders.connection import Address, connect
from loaders.ledger import Ledger
from loaders.ledger_version import create_ledger
from loaders.locks import lock_table
from loaders.raw_table import RawTable
from loaders.retry import is_temporary
from tests.conftest import Project
from tests.loaders.oracle import count, landed
from tests.loaders.people import each_once, kill_in_mid_load, write_people
from tests.waiting import wait_until

TABLE = RawTable(schema="staging", name="people__rows")


def test_a_rerun_lands_nothing(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=3, records=100)
    project.load("people")
    before = connection.execute("select * from ops.loads").fetchall()
    report = project.load("people")
    assert (report.loads, report.skipped) == ([], 3)
    assert connection.execute("select * from ops.loads").fetchall() == before
    each_once(connection, records)


def test_the_same_content_lands_once_under_any_name(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=1, records=100)
    data = (project.bronze / "people" / "000.csv").read_bytes()
    project.write("people/copy.csv", data)
    project.load("people")
    project.write("people/later.csv", data)
    report = project.load("people")
    assert (report.loads, report.skipped) == ([], 3)
    each_once(connection, records)


def test_a_full_refresh_lands_all_again(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=3, records=100)
    project.load("people")
    project.load("people", full_refresh=True)
    each_once(connection, records)
    statuses = [row[0] for row in connection.execute("select status from ops.loads order by load_id")]
    assert statuses == ["discarded", "complete"]


def test_a_connection_that_is_lost_while_a_claim_is_taken_back_is_lost_as_others_are(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_people(project, files=1, records=1)
    project.load("people")

    def claimed_by_others(own: psycopg.Connection, *_: object, **__: object) -> dict[str, int]:
        connection.execute("select pg_terminate_backend(%s, 5000)", [own.info.backend_pid])
        return {}

    monkeypatch.setattr("loaders.ledger.insert_files", claimed_by_others)
    with connect(project.address) as own, pytest.raises(psycopg.OperationalError, match="lost") as raised:
        Ledger(own, TABLE).claim([], full_refresh=False)
    assert is_temporary(raised.value, was_reached=True)


def test_a_discarded_load_can_land_again(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=2, records=100)
    project.load("people", batch_files=1)
    done = project.run("discard", "1")
    assert "100 rows of people.rows deleted, 1 files released" in done.stdout
    assert count(connection, "select count(*) from staging.people__rows") == 100
    assert project.run("discard", "1").returncode == 1
    project.load("people")
    each_once(connection, records)


@pytest.mark.parametrize("loaders", [2, 4])
def test_loaders_at_once_share_the_files(project: Project, connection: psycopg.Connection, loaders: int) -> None:
    records = write_people(project, files=40, records=2000)
    running = [project.start("load", "--batch-files", "3") for _ in range(loaders)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    each_once(connection, records)


def test_a_full_refresh_waits_for_no_loader(project: Project, connection: psycopg.Connection) -> None:
    write_people(project, files=1, records=10)
    with psycopg.connect(project.address.conninfo, autocommit=True) as other:
        create_ledger(other)
        with lock_table(other, TABLE, alone=False):
            refused = project.run("load", "--full-refresh")
    assert refused.returncode == 1
    assert "another loader is at work" in refused.stderr
    assert project.run("load", "--full-refresh").returncode == 0


def test_a_claim_is_invisible_and_is_not_undone_while_its_loader_lives(
    project: Project, connection: psycopg.Connection
) -> None:
    write_people(project, files=1, records=10)
    project.load("people")
    with psycopg.connect(project.address.conninfo, autocommit=True) as other:
        load_id = other.execute(
            "insert into ops.loads (load_id, table_schema, table_name, files, bytes, loader) "
            "values (9999, 'staging', 'people__rows', 0, 0, '') returning load_id"
        ).fetchone()[0]  # type: ignore[index]
        other.execute("select pg_advisory_lock_shared(1229866753, %s)", [load_id])
        assert Ledger(connection, TABLE).undo_interrupted() == []
    wait_until(lambda: Ledger(connection, TABLE).undo_interrupted() == [load_id])


def test_an_interrupt_in_the_middle_of_a_query_gets_out(address: Address) -> None:
    def interrupted() -> None:
        with connect(address) as connection, lock_table(connection, TABLE, alone=True):
            connection.pgconn.send_query(b"select pg_sleep(60)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    error = psycopg.OperationalError("another command is already in progress")
    error.__context__ = KeyboardInterrupt()
    assert not is_temporary(error, was_reached=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_cleans_up(
    project: Project, connection: psycopg.Connection, number: signal.Signals, code: int
) -> None:
    records = write_people(project, files=4, records=200_000)
    exit_code, said = kill_in_mid_load(project, number, after=0.1)
    assert exit_code == code, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert count(connection, "select count(*) from staging.people__rows") == 0
    assert connection.execute("select status from ops.loads").fetchall() == [("failed",)]
    assert project.run("load").returncode == 0
    each_once(connection, records)
    assert sum(landed(connection, "people", ["id"]).values()) == records
