"""The ledger of an older version is upgraded with all that is in it, that of a newer one refused."""

from pathlib import Path

import psycopg
import pytest

from loaders import ledger_version
from loaders.ledger_version import create_ledger
from loaders.locks import LOCK_TABLE
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees

VERSION_1 = Path(__file__).with_name("ledger_version_1.sql")
VERSION_2 = Path(__file__).with_name("ledger_version_2.sql")
# What revision ab34b17 left of: a complete load with a reject, a discarded one, one that was interrupted, an unlogged
# table whose rows a crash has taken, and one that has its rows.
FILLED = """
create schema staging;
create table staging.people__rows (_load_id integer, _file_id integer, id text, name text)
with (toast_tuple_target = 4080);
create index people__rows__load_id on staging.people__rows using brin (_load_id) with (autosummarize = on);
comment on table staging.people__rows is 'People.';
comment on column staging.people__rows.name is 'Name of the person.';
create unlogged table staging.fast__rows (_load_id integer, _file_id integer, id text);
create unlogged table staging.lost__rows (_load_id integer, _file_id integer, id text);
create table staging.empty__rows (_load_id integer, _file_id integer, id text);
create index on staging.fast__rows using brin (_load_id);
create index on staging.lost__rows using brin (_load_id);
create index on staging.empty__rows using brin (_load_id);

insert into ops.loads (table_name, status, finished_at, files, bytes, records, rejected, error, loader, epoch)
values
    ('people__rows', 'complete', now(), 2, 20, 2, 1, null, 'here', null),
    ('people__rows', 'discarded', now(), 1, 20, 1, 0, 'discarded by hand', 'here', null),
    ('people__rows', 'started', null, 1, 20, null, null, null, 'here', null),
    ('fast__rows', 'complete', now(), 1, 20, 1, 0, null, 'here', (select epoch from ops.unlogged_epoch)),
    ('lost__rows', 'complete', now(), 1, 20, 1, 0, null, 'here', gen_random_uuid());
insert into ops.files (load_id, table_name, path, hive_keys, bytes, modified_ns, digest, records, rejected, released_at)
values
    (1, 'people__rows', 'people/1.csv', '{}', 10, 1, 'x', 1, 0, null),
    (1, 'people__rows', 'people/2.csv', '{"run_id": "r"}', 10, 1, 'y', 1, 1, null),
    (2, 'people__rows', 'people/3.csv', '{}', 10, 1, 'z', 1, 0, now()),
    (3, 'people__rows', 'people/4.csv', '{}', 10, 1, 'w', null, null, null),
    (4, 'fast__rows', 'fast/1.csv', '{}', 10, 1, 'x', 1, 0, null),
    (5, 'lost__rows', 'lost/1.csv', '{}', 10, 1, 'x', 1, 0, null);
insert into ops.rejected_rows (load_id, file_id, record_number, byte_offset, sqlstate, reason, raw)
values (1, 2, 1, 8, '22P04', 'missing data', 'ragged');
insert into ops.applied_loads (model, load_id) values ('core.people', 1);
insert into staging.people__rows values (1, 1, '1', 'Ada'), (1, 2, '2', 'Bob'), (3, 4, '4', 'half');
insert into staging.fast__rows values (4, 5, '1');

create view staging.both as select people__rows.id from staging.people__rows full join staging.fast__rows using (id);
create view staging.stg_people with (security_barrier = true) as
select id, name, load_id from staging.people__rows inner join ops.loads on load_id = _load_id
where status = 'complete';
create role reader_of_people;
grant select on staging.people__rows, staging.stg_people to reader_of_people;
grant update (name) on staging.people__rows to reader_of_people;
"""


@pytest.fixture
def old(project: Project, connection: psycopg.Connection) -> Project:
    """A project whose database holds a ledger of version 1."""
    for source in ("people", "fast", "lost", "empty"):
        project.declare(source)
    connection.execute(VERSION_1.read_bytes())
    connection.execute("drop role if exists reader_of_people")
    connection.execute(FILLED.encode())
    return project


@pytest.fixture(autouse=True)
def no_role_left(connection: psycopg.Connection) -> object:
    yield
    if connection.execute("select from pg_roles where rolname = 'reader_of_people'").fetchone():
        connection.execute("drop owned by reader_of_people; drop role reader_of_people")


def test_everything_is_there_after_an_upgrade(old: Project, connection: psycopg.Connection) -> None:
    create_ledger(connection)
    create_ledger(connection)
    assert connection.execute("select version from ops.ledger_version").fetchall() == [(3,)]
    loads = connection.execute("select load_id, table_schema, table_name, status, records from ops.loads order by 1")
    assert loads.fetchall() == [
        (1, "staging", "people__rows", "complete", 2),
        (2, "staging", "people__rows", "discarded", 1),
        (3, "staging", "people__rows", "started", None),
        (4, "staging", "fast__rows", "complete", 1),
        (5, "staging", "lost__rows", "discarded", 1),
    ]
    files = "select file_id, table_schema, first_load_id, released_at is null from ops.files order by 1"
    assert connection.execute(files).fetchall() == [
        (1, "staging", 1, True),
        (2, "staging", 1, True),
        (3, "staging", 2, False),
        (4, "staging", 3, True),
        (5, "staging", 4, True),
        (6, "staging", 5, False),
    ]
    assert count(connection, "select count(*) from ops.rejected_rows") == 1
    rows = "select id, name from staging.people__rows order by id"
    assert connection.execute(rows).fetchall() == [("1", "Ada"), ("2", "Bob"), ("4", "half")]
    assert count(connection, "select count(*) from staging.fast__rows") == 1
    kinds = "select relkind::text, relpersistence::text, count(*) from pg_class where relname ~ '__rows' group by 1, 2"
    assert set(connection.execute(kinds).fetchall()) == {("p", "p", 4), ("r", "p", 4), ("i", "p", 4)}


def shape(connection: psycopg.Connection) -> list[tuple[str, ...]]:
    """Return the ledger's columns, indexes and constraints, whatever their order."""
    return connection.execute("""
        select table_name, column_name, data_type, is_nullable, column_default, is_identity
        from information_schema.columns where table_schema = 'ops'
        union all
        select tablename, indexname, indexdef, '', '', '' from pg_indexes where schemaname = 'ops'
        union all
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
        from pg_constraint where connamespace = 'ops'::regnamespace
        union all
        select oid::regclass::text, obj_description(oid, 'pg_class'), '', '', '', '' from pg_class
        where relnamespace = 'ops'::regnamespace and relkind in ('r', 'v')
        order by 1, 2, 3
    """).fetchall()


def test_an_upgraded_ledger_is_as_a_new_one(old: Project, connection: psycopg.Connection) -> None:
    create_ledger(connection)
    upgraded = shape(connection)
    connection.execute("drop schema ops cascade")
    create_ledger(connection)
    assert upgraded == shape(connection)


def test_version_2_gets_what_prune_needs(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", "id\n1\n")
    connection.execute(VERSION_2.read_bytes())
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "insert into ops.loads (load_id, table_schema, table_name, status, files, bytes, loader) "
            "values (1, 'staging', 'people__rows', 'pruned', 1, 1, 'here')"
        )
    assert "is of version 2" in project.run("prune").stderr
    assert project.run("load").returncode == 0
    upgraded = shape(connection)
    assert count(connection, "select version from ops.ledger_version") == 3
    connection.execute("update ops.loads set status = 'pruned'")
    connection.execute("drop schema ops cascade")
    create_ledger(connection)
    assert upgraded == shape(connection)


def test_the_views_and_grants_are_the_new_tables(old: Project, connection: psycopg.Connection) -> None:
    create_ledger(connection)
    grants = "select has_table_privilege('reader_of_people', %s, 'select')"
    for name in ("staging.people__rows", "staging.stg_people"):
        assert connection.execute(grants, [name]).fetchone() == (True,)
    column = "select has_column_privilege('reader_of_people', 'staging.people__rows', 'name', 'update')"
    assert connection.execute(column).fetchone() == (True,)
    comments = (
        "select obj_description('staging.people__rows'::regclass), col_description('staging.people__rows'::regclass, 4)"
    )
    assert connection.execute(comments).fetchone() == ("People.", "Name of the person.")
    options = "select reloptions from pg_class where relname = 'stg_people'"
    assert connection.execute(options).fetchone() == (["security_barrier=true"],)
    old.write("people/5.csv", "id,name\n5,Eve\n")
    assert old.load("people").problems == []
    view = connection.execute("select id, name, load_id from staging.stg_people order by id").fetchall()
    assert view == [("1", "Ada", 1), ("2", "Bob", 1), ("5", "Eve", 10001)]
    old.write("fast/2.csv", "id\n7\n")
    old.load("fast")
    assert count(connection, "select count(*) from staging.both") == 4


def test_an_upgraded_table_is_loaded_refreshed_and_discarded(old: Project, connection: psycopg.Connection) -> None:
    old.write("people/5.csv", "id,name\n5,Eve\n")
    report = old.load("people")
    assert (report.undone, [load.load_id for load in report.loads]) == ([3], [10001])
    ledger_agrees(connection, "people")
    assert old.run("discard", "1").returncode == 0
    ledger_agrees(connection, "people")
    assert count(connection, "select count(*) from staging.people__rows") == 1
    assert old.load("people", full_refresh=True).problems == []
    ledger_agrees(connection, "people")
    assert connection.execute(
        "select relation_name from ops.segments where table_name = 'people__rows'"
    ).fetchall() == [("people__rows__20001",)]
    for source in ("lost", "empty"):
        old.write(f"{source}/1.csv", "id\n1\n")
        assert old.load(source).loads[0].records == 1


def test_an_upgrade_that_fails_changes_nothing(
    old: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = connection.execute("select * from ops.files").fetchall()
    connection.execute("create materialized view staging.copied as select * from staging.people__rows")
    with pytest.raises(ledger_version.LoadError, match=r"staging\.copied reads a raw table"):
        create_ledger(connection)
    connection.execute("drop materialized view staging.copied")
    monkeypatch.setattr(ledger_version, "GRANTS", "select 'no sql' where %s <> %s")
    with pytest.raises(psycopg.errors.SyntaxError):
        create_ledger(connection)
    assert connection.execute("select * from ops.files").fetchall() == before
    assert connection.execute("select to_regclass('ops.ledger_version')").fetchone() == (None,)


def test_an_older_loader_at_work_is_waited_for(old: Project, connection: psycopg.Connection) -> None:
    with psycopg.connect(old.address.conninfo, autocommit=True) as older:
        older.execute("select pg_advisory_lock_shared(%s, hashtext('staging.people__rows'))", [LOCK_TABLE])
        with pytest.raises(ledger_version.LoadError, match="an older loader is at work"):
            create_ledger(connection)


def test_commands_that_only_read_ask_for_the_upgrade(old: Project) -> None:
    done = old.run("status")
    assert done.returncode == 1
    assert "`python -m loaders load` upgrades it" in done.stderr
    assert "upgrades it" in old.run("load", "--dry-run").stderr


def test_a_newer_ledger_is_refused(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", "id\n1\n")
    assert project.run("load").returncode == 0
    connection.execute("update ops.ledger_version set version = 4")
    for command in ("load", "status"):
        done = project.run(command)
        assert done.returncode == 1
        assert "The ledger is of version 4" in done.stderr
        assert "update the project" in done.stderr


def test_tables_of_one_name_in_two_schemas_do_not_mix(project: Project, connection: psycopg.Connection) -> None:
    for schema in ("staging", "other"):
        project.declare("people", schema=schema, source=f"people_{schema}")
    project.write("people/1.csv", "id\n1\n")
    assert project.run("load").returncode == 0
    assert project.run("load", "people_other", "--full-refresh").returncode == 0
    for schema in ("staging", "other"):
        assert count(connection, f"select count(*) from {schema}.people__rows") == 1
    loads = connection.execute("select table_schema, status from ops.loads order by 1, load_id").fetchall()
    assert loads == [("other", "discarded"), ("other", "complete"), ("staging", "complete")]
