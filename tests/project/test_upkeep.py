"""The operations and queries that keep a grown database quick, run as docs/operations.md says."""

import re
import threading
import time
from dataclasses import replace

import psycopg
import pytest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address, connect
from loaders.ledger_version import SCHEMA
from loaders.locks import LOCK_LOAD
from loaders.server import LocalServer
from tests.conftest import REPOSITORY
from tests.project.conftest import Dbt
from tests.waiting import wait_until

MODEL = (
    "{{ config(materialized='table', indexes=[{'columns': ['item_id']}]) }} select 1::bigint as item_id, 'a' as text"
)


@pytest.fixture(scope="module")
def items(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """A project of one table, parsed."""
    folder = tmp_path_factory.mktemp("items")
    write_scratch_project(folder, {"items.sql": MODEL})
    dbt = Dbt(replace(server.address, database="project"), folder, folder)
    dbt.manifest = dbt.parse()
    return dbt


@pytest.fixture
def dbt(items: Dbt, address: Address, connection: psycopg.Connection) -> Dbt:
    """The project, its table core.items there: half of the rows and most of the index are dead."""
    for statement in (
        "create schema core",
        "create table core.items (item_id bigint, text text) with (autovacuum_enabled = off)",
        "create index by_id on core.items (item_id)",
        "insert into core.items select i, 'x' from generate_series(1, 20000) as i",
        "delete from core.items where item_id % 2 = 0",
        "create table core.tidy as select 1 as a",
        "create table public.elsewhere (a int) with (autovacuum_enabled = off)",
        "insert into public.elsewhere values (1)",
        "delete from public.elsewhere",
        "select pg_stat_force_next_flush()",
    ):
        connection.execute(statement)
    return items


def operate(dbt: Dbt, capsys: pytest.CaptureFixture[str], operation: str, arguments: str = "{}") -> list[list[str]]:
    """Run an operation and return the lines that it prints, split into cells."""
    capsys.readouterr()
    dbt.succeed("run-operation", operation, "--args", arguments)
    return [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_storage_report(
    dbt: Dbt, connection: psycopg.Connection, superuser: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = operate(dbt, capsys, "storage_report")
    assert lines[0] == ["Storage"]
    [items] = [dict(zip(lines[1], line, strict=True)) for line in lines if line[0] == "core.items"]
    assert (items["live_rows"], items["dead_rows"], items["dead_percent"], items["vacuumed"]) == (
        "10000", "10000", "50", "never",
    )  # fmt: skip
    assert not any("elsewhere" in line[0] for line in lines)
    assert "create extension pgstattuple" in lines[-1][0]

    connection.execute("vacuum core.items")
    superuser.execute("create extension pgstattuple")
    connection.execute("create table core.empty (a int primary key)")
    connection.execute("create table core.parts (a int) partition by list (a)")
    lines = operate(dbt, capsys, "storage_report")
    [items] = [dict(zip(lines[1], line, strict=True)) for line in lines if line[0] == "core.items"]
    assert int(items["index_free_percent"]) > 40
    assert 20 < int(items["free_percent"]) < 60
    assert items["dead_percent"] == "0"


def test_storage_report_shows_what_could_be_pruned(
    dbt: Dbt, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute(SCHEMA.read_text())
    connection.execute("""
        insert into ops.loads (load_id, table_schema, table_name, status, files, bytes, records, loader)
        select load_id, 'staging', 'rows', case load_id when 4 then 'pruned' else 'complete' end, 1, 1, 10, 'here'
        from generate_series(1, 4) as load_id;
        insert into ops.segments
        values ('staging', 'rows', 1, 10001, 'rows__1', 5);
        create schema staging;
        create table staging.rows__1 as select i from generate_series(1, 1000) as i;
        insert into ops.applied_loads (model, load_id)
        select model, load_id
        from unnest('{core.items,core.tidy,core.gone}'::text[]) as model
        cross join generate_series(1, 4) as load_id
        where (model, load_id) not in (('core.tidy', 3), ('core.gone', 2))
    """)
    lines = operate(dbt, capsys, "storage_report")
    at = lines.index(["What every model has applied"])
    assert lines[at + 1] == ["table", "loads", "prunable_loads", "prunable_records", "about", "waits_for"]
    about = lines[at + 2].pop(4)
    assert lines[at + 2] == ["staging.rows", "3", "2", "20", "core.tidy"]
    assert re.fullmatch(r"\d+ kB", about)


def test_optimize_storage_does_what_passes_a_threshold(
    dbt: Dbt, connection: psycopg.Connection, superuser: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    before = "select pg_relation_size('core.by_id'), n_dead_tup from pg_stat_user_tables where relname = 'items'"
    was = connection.execute(before).fetchone()
    lines = operate(dbt, capsys, "optimize_storage", "{dry_run: true}")
    assert ["vacuum (analyze) core.items", "50 % of its rows are dead"] in lines
    assert ["(none)"] in operate(dbt, capsys, "optimize_storage", "{dry_run: true, vacuum: false}")
    assert not any("tidy" in line[0] or "elsewhere" in line[0] or "reindex" in line[0] for line in lines)
    assert connection.execute(before).fetchone() == was, "a dry run changes nothing"

    operate(dbt, capsys, "optimize_storage")
    assert connection.execute(before).fetchone() == (was[0] if was else 0, 0)

    superuser.execute("create extension pgstattuple")
    assert ["(none)"] in operate(dbt, capsys, "optimize_storage", "{dry_run: true}"), "the index is small"
    lines = operate(dbt, capsys, "optimize_storage", "{min_index_mb: 0}")
    assert re.fullmatch(r"done: reindex index concurrently core\.by_id: 0\.[1-9] MB came back", lines[-2][0]), lines
    assert re.fullmatch(r"in all: 0\.[1-9] MB came back to the disk", lines[-1][0]), lines
    now = connection.execute("select pg_relation_size('core.by_id')").fetchone()
    assert now is not None
    assert was is not None
    assert now[0] < 0.7 * was[0]
    assert ["(none)"] in operate(dbt, capsys, "optimize_storage", "{min_index_mb: 0}")


def test_optimize_storage_clears_what_an_interrupted_reindex_left(
    dbt: Dbt, connection: psycopg.Connection, superuser: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute("vacuum core.items")
    connection.execute("create index by_id_ccnew on core.items (item_id)")
    superuser.execute("update pg_index set indisvalid = false where indexrelid = 'core.by_id_ccnew'::regclass")
    operate(dbt, capsys, "optimize_storage")
    assert connection.execute("select to_regclass('core.by_id_ccnew')").fetchone() == (None,)


def test_settings_report(dbt: Dbt, capsys: pytest.CaptureFixture[str]) -> None:
    lines = operate(dbt, capsys, "settings_report", "{memory_gb: 1000000}")
    assert lines[:2] == [["Settings"], ["setting", "present", "recommended", "verdict", "reason"]]
    verdicts = {line[0]: (line[2], line[3]) for line in lines[2:]}
    assert verdicts["shared_buffers"][0] == "at least 8192 MB"
    assert verdicts["effective_cache_size"][1] == "change"
    assert verdicts["max_wal_size"] == ("at least 8192 MB", "ok")
    assert verdicts["jit"] == ("off", "ok")
    assert verdicts["random_page_cost"] == ("at most 1.1", "ok")
    assert all(line[4] for line in lines[2:])
    # The local server has every setting that the report recommends for its memory, but for fsync here (conftest.py).
    expected = dict.fromkeys(verdicts, "ok") | {"fsync": "change"}
    assert {line[0]: line[3] for line in operate(dbt, capsys, "settings_report")[2:]} == expected


def query(name: str) -> str:
    return (REPOSITORY / "analyses" / f"{name}.sql").read_text()


def test_monitoring_of_loads(connection: psycopg.Connection) -> None:
    connection.execute(SCHEMA.read_text())
    connection.execute("""
        insert into ops.loads (
            load_id, table_schema, table_name, status, started_at, finished_at, files, bytes, records, rejected, loader
        )
        values
            (1, 'staging', 'evo__sales', 'complete', '2026-01-01 03:00', '2026-01-01 03:02', 2, 10, 600, 1, 'here'),
            (2, 'staging', 'evo__sales', 'started', '2026-01-01 03:05', null, 1, 10, null, null, 'here');
        insert into ops.files (
            load_id, table_schema, table_name, path, hive_keys, bytes, modified_ns, digest, first_load_id, records,
            rejected
        )
        values
            (1, 'staging', 'evo__sales', 'a', '{"run_id": "r1"}', 5, 1, 'x', 1, 300, 1),
            (1, 'staging', 'evo__sales', 'b', '{"run_id": "r1"}', 5, 1, 'y', 1, 300, 0),
            (2, 'staging', 'evo__sales', 'c', '{"run_id": "r2"}', 5, 1, 'z', 2, null, null)
    """)
    loads = connection.execute(query("monitoring_loads")).fetchall()
    assert [(row[0], row[3], row[7], row[10], row[11]) for row in loads] == [
        (2, "started", None, "r2", None),
        (1, "complete", 600, "r1", 300),
    ]
    runs = connection.execute(query("monitoring_runs")).fetchall()
    assert [(row[2], row[5], row[6], row[7], row[9]) for row in runs] == [
        ("r2", 1, 1, None, None),
        ("r1", 0, 2, 600, 300),
    ]


def test_monitoring_of_dead_rows(dbt: Dbt, connection: psycopg.Connection) -> None:
    first = connection.execute(query("monitoring_dead_rows")).fetchone()
    assert first is not None
    assert first[:4] == ("core", "items", 10000, 10000)


def test_monitoring_of_running_loads_and_of_the_last_hour(address: Address, connection: psycopg.Connection) -> None:
    connection.execute(SCHEMA.read_text())
    connection.execute("""
        create schema staging;
        create table staging.rows (_load_id integer);
        insert into staging.rows select 2 from generate_series(1, 90);
        insert into ops.loads (
            load_id, table_schema, table_name, status, started_at, finished_at, files, bytes, records, rejected, loader
        )
        select
            load_id, 'staging', 'rows', status, minute + started, minute + finished, 1, 3000000, records, 7, 'here'
        from (select date_trunc('minute', now()) - interval '10 minutes') as now (minute)
        cross join (
            values
                (1, 'complete', interval '-30 seconds', interval '30 seconds', 600),
                (2, 'started', interval '9 minutes', null, null),
                (3, 'complete', interval '-5 hours', interval '-4 hours', 1000),
                (4, 'pruned', interval '10 seconds', interval '20 seconds', 50),
                (5, 'failed', interval '1 second', interval '2 seconds', null)
        ) as loads (load_id, status, started, finished, records)
    """)
    with connect(address) as other:
        other.execute("select pg_advisory_lock_shared(%s, 2)", [LOCK_LOAD])
        [row] = connection.execute(query("monitoring_running_loads")).fetchall()
        assert (row[0], row[4], row[5], row[8], row[10], row[11]) == (2, 1, 90, 3, 0, False)
        assert 0.5 < row[9] < 1.5
    wait_until(lambda: connection.execute(query("monitoring_running_loads")).fetchall()[0][11] is True)
    minutes = connection.execute(query("monitoring_last_hour")).fetchall()
    assert len(minutes) == 60
    landed = [row[3:] for row in minutes if row[1]]
    # 300 records of the first load and all of the fourth; before them, the other half; the second is running.
    assert landed[-2:] == [(350, 4.5, 0, 2, 14), (300, 1.5, 1, 0, 0)]
    assert sum(row[0] for row in landed[:-2]) in range(88, 93)


def test_monitoring_of_running_copies(address: Address, connection: psycopg.Connection) -> None:
    assert connection.execute(query("monitoring_running_copies")).fetchall() == []
    connection.execute("create table landing (a text)")
    sent, done = threading.Event(), threading.Event()

    def copy() -> None:
        with (
            connect(address, application_name="a loader") as other,
            other.cursor().copy("copy landing from stdin") as stream,
        ):
            stream.write("row\n" * 100_000)
            sent.set()
            done.wait(30)

    loader = threading.Thread(target=copy)
    loader.start()
    try:
        assert sent.wait(30)
        deadline = time.monotonic() + 30
        while not (rows := connection.execute(query("monitoring_running_copies")).fetchall()) or rows[0][4] < 1000:
            assert time.monotonic() < deadline
        assert rows[0][1:3] == ("a loader", "landing")
    finally:
        done.set()
        loader.join()
