"""Retention: what every model has applied goes, its files stay claimed; what was pruned is landed again as it was."""

import random
import re
import signal
import time
from datetime import timedelta

import psycopg
import pytest
from click.testing import CliRunner

from loaders import segments
from loaders.__main__ import main
from loaders.connection import connect
from loaders.prune import PrunedTable, Retention, plan_prune, prune
from loaders.raw_table import RawTable
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees
from tests.loaders.people import each_once, write_people
from tests.waiting import wait_until

TABLE = RawTable(schema="staging", name="people__rows")
STATUSES = "select load_id, status from ops.loads order by load_id"
VISIBLE = """
select count(*) from staging.people__rows
where _load_id not in (select load_id from ops.loads where status <> 'complete')
"""


def build(connection: psycopg.Connection, model: str = "core.people", *, only: int | None = None) -> None:
    """Do what dbt leaves of a model: a relation, and the complete loads that it has applied."""
    schema, name = model.split(".")
    connection.execute(f"create schema if not exists {schema}".encode())
    connection.execute(f"create table if not exists {schema}.{name} ()".encode())
    connection.execute(
        "insert into ops.applied_loads (model, load_id) select %s, load_id from ops.loads "
        "where status = 'complete' and (%s::integer is null or load_id = %s) on conflict do nothing",
        [model, only, only],
    )


def pruned(connection: psycopg.Connection, **retention: object) -> PrunedTable:
    return prune(connection, TABLE, Retention(**retention))  # type: ignore[arg-type]


def land_one_by_one(project: Project, *, files: int, records: int = 10) -> list[int]:
    write_people(project, files=files, records=records)
    return [load.load_id for load in project.load("people", batch_files=1).loads]


def test_rows_go_and_their_files_stay_claimed(project: Project, connection: psycopg.Connection) -> None:
    land_one_by_one(project, files=3)
    build(connection)
    said = project.run("prune", "people.rows", "--keep-loads", "1")
    assert said.stderr == ""
    assert said.returncode == 0
    assert said.stdout.startswith("people.rows: pruned 2 loads, 20 records; 1 load stays; ")
    assert connection.execute(STATUSES).fetchall() == [(1, "pruned"), (2, "pruned"), (3, "complete")]
    assert count(connection, "select count(*) from staging.people__rows") == 10
    ledger_agrees(connection, "people")
    assert "nothing new; 3 files landed before" in project.run("load").stdout
    # A copy of what is pruned is no news either.
    project.write("people/copy.csv", (project.bronze / "people" / "000.csv").read_bytes())
    assert project.load("people").loads == []
    assert project.run("discard", "1").returncode == 1


def test_a_dry_run_changes_nothing(project: Project, connection: psycopg.Connection) -> None:
    land_one_by_one(project, files=2)
    build(connection)
    assert "would prune 2 loads, 20 records; 0 loads stay" in project.run("prune", "--dry-run").stdout
    assert connection.execute(STATUSES).fetchall() == [(1, "complete"), (2, "complete")]


class TestWhatStays:
    def test_loads_that_a_model_has_not_applied(self, project: Project, connection: psycopg.Connection) -> None:
        land_one_by_one(project, files=2)
        said = project.run("prune")
        assert "nothing to prune; 2 loads stay" in said.stdout
        assert "no model has applied its loads" in said.stderr
        build(connection)
        build(connection, "dev_ann_core.people", only=1)
        said = project.run("prune")
        assert "pruned 1 load, 10 records; 1 load stays" in said.stdout
        assert "dev_ann_core.people has not applied 1 load: build it, drop it, or leave it out" in said.stderr
        assert "--ignore-schema dev_ann_core`" in said.stderr
        assert pruned(connection, ignored_schemas=["dev"]).load_ids == [2], "a target's schema ignores its layers"

    def test_a_relation_that_is_gone_counts_no_more(self, project: Project, connection: psycopg.Connection) -> None:
        land_one_by_one(project, files=2)
        build(connection)
        build(connection, "dev_ann_core.people", only=1)
        connection.execute("drop table dev_ann_core.people")
        assert pruned(connection).load_ids == [1, 2]

    def test_what_was_delivered_of_late(self, project: Project, connection: psycopg.Connection) -> None:
        land_one_by_one(project, files=2)
        build(connection)
        connection.execute("update ops.loads set started_at = now() - interval '3 days' where load_id = 1")
        # A raw table landed anew holds what was delivered then.
        project.load("people", full_refresh=True, batch_files=1)
        build(connection)
        assert pruned(connection, older_than=timedelta(days=4)).load_ids == []
        assert pruned(connection, older_than=timedelta(days=2)).load_ids == [10001]

    def test_what_is_not_older_than_all_that_stays(self, project: Project, connection: psycopg.Connection) -> None:
        """A late run is older; a load of an old and a new run keeps what is between them."""
        project.declare("people")
        for runs in (["05"], ["03"], ["04", "09"], ["07"]):
            for run in runs:
                project.write(f"people/run_id={run}/1.csv", f"id,name\n{run},x\n")
            project.load("people")
        build(connection)

        def plan(**retention: int) -> list[int]:
            return plan_prune(connection, TABLE, Retention(**retention)).load_ids

        assert plan(keep_loads=0) == [1, 2, 3, 4]
        assert plan(keep_loads=1) == [2]
        connection.execute("update ops.loads set status = 'started' where load_id = 2")
        assert plan(keep_loads=0) == []


class TestSpace:
    def test_whole_segments_are_dropped(
        self, project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(segments, "SEGMENT_BYTES", 50_000)
        monkeypatch.setattr("loaders.prune.SEGMENT_BYTES", 50_000)
        land_one_by_one(project, files=3, records=1000)
        build(connection)
        with connect(project.address) as reader:
            reader.execute("begin isolation level repeatable read")
            rows = reader.execute(VISIBLE.encode()).fetchone()
            monkeypatch.setattr("loaders.prune.DROP_SECONDS", 0.3)
            done = pruned(connection, keep_loads=1)
            assert (done.load_ids, done.left) == ([1, 10001], 2)
            assert reader.execute(VISIBLE.encode()).fetchone() == rows == (3000,), "its snapshot is older"
        assert count(connection, VISIBLE) == 1000
        done = pruned(connection, keep_loads=1)
        assert (done.load_ids, done.left) == ([], 0)
        assert done.bytes_after < done.bytes_before / 2
        ledger_agrees(connection, "people")

    @pytest.mark.parametrize("loads_a_day", [1, 5])
    def test_what_lands_between_two_prunes_goes_as_a_whole(
        self,
        project: Project,
        connection: psycopg.Connection,
        monkeypatch: pytest.MonkeyPatch,
        loads_a_day: int,
    ) -> None:
        monkeypatch.setattr("loaders.prune.SEGMENT_BYTES", 50_000)
        project.declare("people")
        sizes = []
        for day in range(6):
            for number in range(loads_a_day):
                rows = "".join(f"{day}-{number}-{row},name\n" for row in range(5000 // loads_a_day))
                project.write(f"people/{day}-{number}.csv", "id,name\n" + rows)
                project.load("people")
            build(connection)
            sizes.append(pruned(connection, keep_loads=2 * loads_a_day).bytes_after)
        assert max(sizes[2:]) <= 1.1 * min(sizes[2:]), sizes
        assert count(connection, "select count(*) from ops.segments") == 2
        assert count(connection, "select count(*) from ops.loads where status = 'pruned'") == 4 * loads_a_day
        assert count(connection, VISIBLE) == 10_000

    def test_pages_of_deleted_rows_are_filled_again(
        self, project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(segments, "INDEXED_BYTES", 0)
        monkeypatch.setattr("loaders.prune.SEGMENT_BYTES", 2**30)
        project.declare("people")
        sizes = []
        for day in range(7):
            rows = "".join(f"{day}-{row},name {row},{'x' * 40}\n" for row in range(30_000))
            project.write(f"people/{day}.csv", "id,name,filler\n" + rows)
            project.load("people", workers=1)
            build(connection)
            sizes.append(pruned(connection, keep_loads=2).bytes_after)
        assert max(sizes[2:]) <= 1.1 * sizes[2], sizes
        assert count(connection, "select count(*) from ops.segments") == 1
        # The index tells of the loads that a page holds now, not of those that it held.
        connection.execute("set enable_seqscan = off")
        plan = connection.execute(
            "explain (analyze, format json) select count(*) from staging.people__rows where _load_id = 6"
        ).fetchone()
        [blocks] = re.findall(r"'Lossy Heap Blocks': (\d+)", str(plan))
        assert int(blocks) < 0.7 * sizes[-1] / 8192


class TestOtherCommands:
    def test_a_full_refresh_replaces_pruned_loads(self, project: Project, connection: psycopg.Connection) -> None:
        records = write_people(project, files=2, records=10)
        project.load("people", batch_files=1)
        build(connection)
        pruned(connection, keep_loads=1)
        assert project.load("people", full_refresh=True).problems == []
        each_once(connection, records)
        assert {status for _, status in connection.execute(STATUSES)} == {"discarded", "complete"}
        replaces = "select replaces from ops.loads where status = 'complete'"
        assert connection.execute(replaces).fetchall() == [(True,)]

    def test_new_content_of_a_partition_whose_rows_are_pruned(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        project.declare("people", delivers="partitions")
        for number in range(2):
            project.write(f"people/{number}.csv", f"id,name\n{number},a\n")
        project.load("people")
        build(connection)
        pruned(connection)
        project.write("people/0.csv", "id,name\n0,b\n")
        assert (project.load("people").replaced, count(connection, VISIBLE)) == (1, 1)
        assert project.load("people", restore=True).problems == []
        names = connection.execute("select id, name from staging.people__rows order by id").fetchall()
        assert names == [("0", "b"), ("1", "a")]
        ledger_agrees(connection, "people")

    def test_a_whole_table_that_is_pruned_is_not_landed_again(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        project.declare("people", delivers="full")
        project.write("people/run_id=1/a.csv", "id,name\n1,a\n")
        project.load("people")
        build(connection)
        pruned(connection)
        assert project.load("people").loads == []
        project.write("people/run_id=2/a.csv", "id,name\n2,a\n")
        assert len(project.load("people").loads) == 1
        assert connection.execute("select status, replaces from ops.loads order by load_id").fetchall() == [
            ("discarded", False),
            ("complete", True),
        ]

    def test_a_loader_that_wants_the_table_alone_is_waited_for(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        land_one_by_one(project, files=1)
        with connect(project.address) as other:
            other.execute("select pg_advisory_lock(%s, hashtext('staging.people__rows'))", [0x49_4E_47_02])
            done = project.run("prune")
        assert done.returncode == 1
        assert "staging.people__rows: another loader is at work on it" in done.stderr


class TestRestore:
    def test_everything_is_as_it_was(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people")
        project.write("people/z.csv", "id,name\n1,a\n2,b,ragged\n")
        project.load("people", max_rejects=1)
        project.write("people/a.csv", "id,name\n1,c\n")
        project.load("people")
        build(connection)
        order = "select path, first_load_id, records, rejected from ops.files where released_at is null order by path"
        before = connection.execute(order).fetchall()
        pruned(connection)
        assert count(connection, VISIBLE) == 0
        done = project.run("load", "--restore", "people.rows")
        assert (done.returncode, done.stderr) == (0, "")
        assert "people.rows: load 3: 1 file, 1 records, 1 rejected" in done.stdout
        assert connection.execute(order).fetchall() == before
        statuses = "select load_id, status, full_refresh, replaces, error from ops.loads order by load_id"
        assert connection.execute(statuses).fetchall() == [
            (1, "discarded", False, False, "pruned, then restored as load 3"),
            (2, "discarded", False, False, "pruned, then restored as load 4"),
            (3, "complete", False, False, None),
            (4, "complete", False, False, None),
        ]
        applied = "select load_id from ops.applied_loads order by load_id"
        assert connection.execute(applied).fetchall() == [(3,), (4,)]
        assert count(connection, "select count(*) from ops.rejected_rows") == 1
        ledger_agrees(connection, "people")
        assert project.load("people").loads == []
        assert "people.rows: nothing is pruned" in project.run("load", "--restore", "people.rows").stdout
        assert pruned(connection, keep_loads=1).load_ids == [3]

    def test_only_the_runs_from_one_on(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people")
        for run in ("01", "02", "03"):
            project.write(f"people/run_id={run}/1.csv", f"id,name\n{run},x\n")
            project.load("people")
        build(connection)
        pruned(connection)
        assert project.run("load", "--restore", "people.rows", "--since", "02").returncode == 0
        assert connection.execute("select id from staging.people__rows order by id").fetchall() == [("02",), ("03",)]

    def test_what_bronze_has_not_as_it_was_stays_pruned_by_name(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        land_one_by_one(project, files=3)
        build(connection)
        pruned(connection)
        (project.bronze / "people" / "000.csv").unlink()
        project.write("people/001.csv", "id,name,filler\n1,changed,x\n")
        done = project.run("load", "--restore", "people.rows")
        assert done.returncode == 1
        assert "people.rows: load 1 stays pruned: people/000.csv" in done.stderr
        assert "load 2 stays pruned: people/001.csv has another content than load 2 landed" in done.stderr
        statuses = [status for _, status in connection.execute(STATUSES)]
        assert statuses == ["pruned", "pruned", "discarded", "complete"]
        ledger_agrees(connection, "people")

    @pytest.mark.parametrize(
        "options", [[], ["people", "--full-refresh"], ["people", "--dry-run"], ["people", "--watch", "1"]]
    )
    def test_options_that_do_not_go_together(self, options: list[str]) -> None:
        done = CliRunner().invoke(main, ["load", "--restore", *options])
        assert (done.exit_code, "--restore takes the names of source tables" in done.stderr) == (1, True)


class TestRewritten:
    def test_new_content_takes_the_place_of_the_old_one(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people")
        project.write("people/1.csv", "id,name\n1,old\n2,two\n")
        project.load("people")
        project.write("people/2.csv", "id,name\n1,new\n")
        project.load("people")
        project.write("people/1.csv", "id,name\n1,old\n")
        assert project.load("people", rewritten=True).replaced == 1
        rows = "select id, name, first_load_id from staging.people__rows inner join ops.files on file_id = _file_id"
        assert sorted(connection.execute(rows.encode()).fetchall()) == [("1", "new", 2), ("1", "old", 1)]
        ledger_agrees(connection, "people")
        assert project.load("people").loads == []
        project.load("people", full_refresh=True)
        assert sorted(connection.execute(rows.encode()).fetchall()) == [("1", "new", 2), ("1", "old", 1)]


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_sigkill_of_prune_and_restore(project: Project, connection: psycopg.Connection, kills: int) -> None:
    """No row of a complete load is missing, nothing of a pruned one is left in part; in the end each row is there once.

    Every second prune deletes rows, because a load stays in their segment; the others retire it.
    """
    records = write_people(project, files=12, records=3000)
    project.load("people", batch_files=2)
    wrong = """
        select load_id, status, records, count(raw._load_id)
        from ops.loads
        left join staging.people__rows as raw on raw._load_id = load_id
        group by load_id
        having count(raw._load_id) <> records and (status = 'complete' or status = 'pruned' and count(raw._load_id) > 0)
    """
    dice = random.Random(kills)
    interrupted = changed = 0
    for number in range(2 * kills):
        # On a fast machine some commands end before their kill.
        if number >= kills and interrupted > kills / 2:
            break
        build(connection)
        for arguments in (["prune", "--keep-loads", str(number % 2)], ["load", "--restore", "people.rows"]):
            before = connection.execute(STATUSES).fetchall()
            interrupted += kill(project, connection, arguments, after=dice.random() * 0.15)
            changed += connection.execute(STATUSES).fetchall() != before
            assert not connection.execute(wrong.encode()).fetchall()
    assert interrupted > kills / 2
    assert project.run("load", "--restore", "people.rows").returncode == 0
    assert project.load("people").loads == []
    each_once(connection, records)
    build(connection)
    assert project.run("prune").returncode == 0
    assert count(connection, "select count(*) from staging.people__rows") == 0
    assert project.run("load", "--restore", "people.rows").returncode == 0
    each_once(connection, records)
    print(f"\n{interrupted} commands killed, {changed} had changed the ledger: 0 differences")


def kill(project: Project, connection: psycopg.Connection, arguments: list[str], *, after: float) -> bool:
    """Kill a command `after` seconds from its first look at the ledger; return whether that ended it."""
    sessions = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    process = project.start(*arguments)
    wait_until(lambda: process.poll() is not None or count(connection, sessions) > 0, pause=0.002)
    time.sleep(after)
    process.kill()
    process.communicate()
    wait_until(lambda: count(connection, sessions) == 0)
    return process.returncode == -signal.SIGKILL
