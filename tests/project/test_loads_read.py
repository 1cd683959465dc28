"""What a model reads of the ledger: its list, what becomes of that meanwhile, and what no data can add to it."""

import subprocess
import sys

import psycopg
import pytest

from loaders.connection import connect
from tests.conftest import REPOSITORY
from tests.project.conftest import LOCK_MODEL, Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Feed, member
from tests.project.loads import complete
from tests.waiting import wait_until

LOCK_ROWS = 0x49_4E_47_03
PERSON = "{},30,true,Lima,Lima,Peru"
APPLIED = "select load_id from ops.applied_loads where model = 'core.people' order by 1"
NAMES = "select name from core.people order by 1"


@pytest.fixture
def people(dbt: Dbt, bronze: Bronze) -> Bronze:
    """One load, applied."""
    land(bronze, "1", "First")
    dbt.succeed("run", "--select", "+people")
    return bronze


def land(bronze: Bronze, file: str, name: str) -> int:
    bronze.write_people(file, {1: PERSON.format(name)})
    [load] = bronze.load().loads
    return load.load_id


def waits(connection: psycopg.Connection) -> bool:
    asked = "select from pg_stat_activity where query like '%select pg_sleep(%' and pid <> pg_backend_pid()"
    return connection.execute(asked).fetchone() is not None


def test_a_builder_that_waited_decides_its_own_list(dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    """Its list of before the wait would let the older load's version win for good."""
    second = land(people, "2", "Second")
    with connect(people.address) as other:
        other.execute("select pg_advisory_lock(%s, hashtext('core.people'))", [LOCK_MODEL])
        with dbt.running("run", "--select", "people") as run:
            wait_until(lambda: waits(connection))
            # What the other builder does: it reads both, and commits first.
            third = land(people, "3", "Third")
            connection.execute("update core.people set name = 'Third', _load_id = %s", [third])
            connection.execute(
                "insert into ops.applied_loads (model, load_id) values ('core.people', %s), ('core.people', %s)",
                [second, third],
            )
            other.close()
            done = run.result()
    assert done.returncode == 0, done.stdout
    assert connection.execute(NAMES).fetchall() == [("Third",)]


@pytest.mark.parametrize("options", [[], ["--full-refresh"]], ids=["increment", "full refresh"])
def test_a_load_that_is_discarded_before_the_commit_fails_the_build(
    dbt: Dbt, people: Bronze, connection: psycopg.Connection, options: list[str]
) -> None:
    second = land(people, "2", "Second")
    before = connection.execute(APPLIED).fetchall()
    with connect(people.address) as discard:
        # A discard is at its commit: the builder has read, and waits for it to say what it found.
        discard.execute("begin")
        discard.execute("select pg_advisory_xact_lock(%s, hashtext('staging.people__persons'))", [LOCK_ROWS])
        with dbt.running("run", "--select", "people", *options) as run:
            wait_until(
                lambda: (
                    connection.execute(
                        "select from pg_stat_activity where query like '%pg_advisory_xact_lock_shared%' "
                        "and pid <> pg_backend_pid()"
                    ).fetchone()
                    is not None
                )
            )
            discard.execute("update ops.loads set status = 'discarded' where load_id = %s", [second])
            discard.execute("commit")
            done = run.result()
    assert done.returncode == 1
    assert (
        f"has read loads of staging.people__persons that are not complete any more ({second} discarded)" in done.stdout
    )
    assert "Run it again" in done.stdout
    assert connection.execute(NAMES).fetchall() == [("First",)]
    assert connection.execute(APPLIED).fetchall() == before


def test_the_builder_keeps_the_rows_from_the_check_to_its_commit(
    dbt: Dbt, people: Bronze, connection: psycopg.Connection
) -> None:
    """The marks are its last statement, so a lock on their table stops it between check and commit."""
    land(people, "2", "Second")
    with connect(people.address) as blocker:
        blocker.execute("begin")
        blocker.execute("lock table ops.applied_loads in share mode")
        with dbt.running("run", "--select", "people") as run:
            held = "select from pg_locks where locktype = 'advisory' and classid = %s and mode = 'ShareLock'"
            wait_until(lambda: connection.execute(held, [LOCK_ROWS]).fetchone() is not None)
            asked = "select pg_try_advisory_xact_lock(%s, hashtext('staging.people__persons'))"
            assert connection.execute(asked, [LOCK_ROWS]).fetchone() == (False,)
            blocker.execute("commit")
            assert run.result().returncode == 0
    assert connection.execute(asked, [LOCK_ROWS]).fetchone() == (True,)


def test_a_full_refresh_that_reads_nothing_is_refused(dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    connection.execute("update ops.loads set status = 'discarded'")
    done = dbt.run("run", "--select", "people", "--full-refresh")
    assert done.returncode == 1
    assert "would empty it: no load of staging.people__persons is complete" in done.stdout
    assert connection.execute(NAMES).fetchall() == [("First",)]

    dbt.succeed("run", "--select", "people", "--full-refresh", "--vars", "{allow_empty_refresh: true}")
    assert connection.execute(NAMES).fetchall() == []
    assert connection.execute(APPLIED).fetchall() == []
    # An empty table may stay so.
    dbt.succeed("run", "--select", "people", "--full-refresh")


RUN_IDS = [
    "x*%2F 1 %2F* pending loads of staging.evo__members: {3,4,5} *%2F",
    "x*%2F 1 %2F* all loads of evo__members: {3,4,5} *%2F",
    "it's \\' or true -- \\",
    "' || (select 'x') || '",
    '$$ ; " é %25',
]


@pytest.fixture
def loose_strings(connection: psycopg.Connection) -> None:
    """Backslashes escape, in every session: what standard_conforming_strings keeps from being so."""
    connection.execute("alter database project set standard_conforming_strings = off")
    connection.execute("alter database project set escape_string_warning = off")


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_a_run_id_is_no_sql(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, loose_strings: None, run_id: str
) -> None:
    folder = bronze.root / "evo" / "entity=members" / "ingestion_date=2026-01-01"
    feed = Feed(bronze, MEMBERS)
    feed.write(1, 1, [member(1, "old"), member(2, "old")])
    feed.load()
    dbt.succeed("run", "--select", *MEMBERS.views, *MEMBERS.tables)
    for number in (2, 3):
        # Two loads of which the later holds older and newer runs, so that the increment compares runs.
        feed.write(1, number + 10, [member(9, "x")])
        part = folder / f"run_id={run_id}{number}" / "part.jsonl.gz"
        part.parent.mkdir(parents=True)
        source = bronze.root / "evo/entity=members/ingestion_date=2026-01-01/run_id=20260101T030000Z"
        part.write_bytes((source / f"part-{number + 10:05}.jsonl.gz").read_bytes())
        loads = feed.load()
        dbt.succeed("run", "--select", *MEMBERS.tables)
        complete_ids = {
            row[0] for row in connection.execute("select load_id from ops.loads where table_name = 'evo__members'")
        }
        applied = connection.execute(
            "select distinct load_id from ops.applied_loads where model ~ 'gym_member'"
        ).fetchall()
        assert {row[0] for row in applied} == complete_ids, loads
    # A load that completes late is read with the oldest run as a literal.
    [(late,)] = connection.execute("select max(load_id) from ops.loads where table_name = 'evo__members'").fetchall()
    complete(connection, late, is_complete=False)
    connection.execute("delete from ops.applied_loads where load_id = %s", [late])
    complete(connection, late, is_complete=True)
    dbt.succeed("run", "--select", *MEMBERS.tables)
    assert {row[0] for row in connection.execute("select member_id from core.gym_members")} == {1, 2, 9}


def test_a_full_refresh_of_the_raw_table_changes_no_winner(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection
) -> None:
    """Load 1 then load 2, whose paths sort the other way round: landing again by path does not turn them round."""
    land(bronze, "z", "First")
    land(bronze, "a", "Second")
    land(bronze, "m", "Third")
    dbt.succeed("run", "--select", "+people")
    assert connection.execute(NAMES).fetchall() == [("Third",)]
    environment = bronze.address.environment | {"BRONZE_ROOT": str(bronze.root), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [sys.executable, "-m", "loaders", "load", "people.persons", "--full-refresh"],
        cwd=REPOSITORY, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    order = "select path from ops.files where released_at is null order by first_load_id"
    assert [path for (path,) in connection.execute(order)] == ["people/z.csv", "people/a.csv", "people/m.csv"]
    dbt.succeed("run", "--select", "people", "--full-refresh")
    assert connection.execute(NAMES).fetchall() == [("Third",)]


def test_the_ledgers_version_is_checked(dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    connection.execute("update ops.ledger_version set version = 4")
    said = dbt.run("run", "--select", "people").stdout
    assert "is of version 4, these models read version 3: use the models of its revision" in said
    connection.execute("drop table ops.ledger_version")
    said = dbt.run("run", "--select", "people").stdout
    assert "is of version 1: run `python -m loaders load` first" in said


def test_a_raw_table_of_the_same_name_in_another_schema_is_another(
    dbt: Dbt, people: Bronze, connection: psycopg.Connection
) -> None:
    connection.execute("""
        insert into ops.loads (load_id, table_schema, table_name, status, files, bytes, loader)
        values (90001, 'other', 'people__persons', 'complete', 1, 1, 'here');
        insert into ops.files (
            load_id, table_schema, table_name, path, hive_keys, bytes, modified_ns, digest, first_load_id, records
        ) values (90001, 'other', 'people__persons', 'x', '{}', 1, 1, 'x', 90001, 1)
    """)
    dbt.succeed("run", "--select", "people", "--full-refresh")
    assert [load_id for (load_id,) in connection.execute(APPLIED)] == [1]
