"""A full refresh that nobody notices: what stands on the table stays, and a failure changes nothing."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.project.conftest import Dbt, Done

ITEMS = """
{{ config(
    materialized=var('materialized', 'incremental'),
    incremental_strategy='upsert',
    unique_key='item_id',
    indexes=[{'columns': ['item_id'], 'unique': true}, {'columns': ['color']}],
    on_schema_change='fail',
    meta={
        'full_refresh_mode': var('mode', 'relink'),
        'lock_patience_seconds': var('patience', 60),
    },
    pre_hook=var('pre_hook', []),
    post_hook="{{ var('post_hook', 'select 1') }}",
) }}
select {{ var('columns', '*') }} from public.raw_items
"""
CONTRACT = """
models:
  - name: items
    config: {contract: {enforced: "{{ var('contract', true) }}"}}
    constraints: [{type: check, expression: item_id > 0, name: item_id_is_positive}]
    columns:
      - {name: item_id, data_type: bigint, constraints: [{type: not_null}]}
      - {name: color, data_type: text, constraints: [{type: check, expression: length(color) < 9}]}
      - {name: price, data_type: "numeric(10,2)"}
"""
RAW = """
    create table public.raw_items as
    select i::bigint as item_id, 'red'::text as color, (i * 1.005)::numeric(10, 2) as price
    from generate_series(1, 1000) as i
"""
# Rendered when the model runs; all else is read when it is parsed.
RENDERED_LATE = ("post_hook", "columns")
MATERIALIZED = pytest.mark.parametrize("materialized", ["incremental", "table"])
MODE = pytest.mark.parametrize("mode", ["relink", "in_place"])


class Items:
    """core.items, built by dbt from public.raw_items, and what stands on it."""

    def __init__(self, dbt: Dbt, connection: psycopg.Connection, manifests: dict[str, Manifest]) -> None:
        self.dbt = dbt
        self.connection = connection
        self.manifests = manifests

    def refresh(self, **variables: object) -> str:
        return self.dbt.succeed(*self._command(variables))

    def run(self, **variables: object) -> Done:
        return self.dbt.run(*self._command(variables))

    def fail(self, **variables: object) -> str:
        done = self.run(**variables)
        assert done.returncode == 1, done.stdout
        return done.stdout

    def rows(self, relation: str = "core.items") -> list[tuple[object, ...]]:
        return self.connection.execute(f"select * from {relation} order by 1").fetchall()

    def table_id(self) -> object:
        return self.connection.execute("select 'core.items'::regclass::oid").fetchall()

    def surroundings(self) -> list[list[tuple[object, ...]]]:
        """All that a full refresh should leave as it was."""
        queries = [
            "select relname, relkind, relowner::regrole::text, relacl::text, reloptions, obj_description(oid) "
            "from pg_class where relnamespace in ('core'::regnamespace, 'other'::regnamespace) "
            "and relkind in ('r', 'v') order by relname",
            "select attname, attacl::text, col_description(attrelid, attnum) "
            "from pg_attribute where attrelid = 'core.items'::regclass and attnum > 0 order by attnum",
            "select viewname, definition from pg_views where schemaname in ('core', 'other') order by 1",
            "select stxname, stxkeys::text from pg_statistic_ext",
        ]
        return [self.connection.execute(query).fetchall() for query in queries]

    def _command(self, variables: dict[str, object]) -> list[str]:
        """Return the command, its project parsed once for each choice of what parsing reads."""
        variables = {"mode": "relink", "materialized": "incremental"} | variables
        early = json.dumps({name: value for name, value in variables.items() if name not in RENDERED_LATE})
        if early not in self.manifests:
            self.manifests[early] = self.dbt.parse("--vars", early)
        self.dbt.manifest = self.manifests[early]
        return ["run", "--full-refresh", "--vars", json.dumps(variables)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("items")
    write_scratch_project(folder, {"items.sql": ITEMS, "items.yml": CONTRACT})
    return folder


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    return {}


@pytest.fixture(scope="module")
def built(server: LocalServer, server_version: int, project: Path, manifests: dict[str, Manifest]) -> Iterator[str]:
    """The name of a database with core.items built, for every test to start from a copy of."""
    address = replace(server.address, database="project")
    with connect(server.address) as connection:
        connection.execute("drop database if exists project with (force)")
        connection.execute("create database project")
        with connect(address) as own:
            own.execute(RAW)
            Items(Dbt(address, project, project), own, manifests).refresh()
        connection.execute("alter database project rename to items_built")
        yield "items_built"
        connection.execute("drop database items_built with (force)")


@pytest.fixture
def address(server: LocalServer, built: str) -> Address:
    address = replace(server.address, database="project")
    with connect(server.address) as connection:
        connection.execute("drop database if exists project with (force)")
        connection.execute(f"create database project template {built}")
    return address


@pytest.fixture
def items(address: Address, connection: psycopg.Connection, project: Path, manifests: dict[str, Manifest]) -> Items:
    return Items(Dbt(address, project, project), connection, manifests)


@pytest.fixture
def roles(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("create role owner_of_items; create role reader; create role clerk")
    yield
    connection.execute("drop owned by owner_of_items, reader, clerk cascade")
    connection.execute("drop role owner_of_items, reader, clerk")


@pytest.fixture
def surrounded(items: Items, roles: None) -> Items:
    """Views on views, in another schema, with options; grants, comments, an owner, storage parameters."""
    items.connection.execute("""
        create schema other;
        alter default privileges in schema core grant select on tables to clerk;
        alter table core.items set (autovacuum_vacuum_scale_factor = 0.05);
        create view other.red with (security_barrier, check_option = local) as
            select item_id as number, color, price from core.items where color = 'red';
        alter view other.red alter column color set default 'red';
        create view core.red_count as select count(*) as n, sum(price) as total from other.red;
        create view core.paired (item_id, again) as
            select a.item_id, b.number from core.items as a join other.red as b on b.number = a.item_id;
        create materialized view other.counted as select * from core.red_count;
        grant usage on schema core, other to reader;
        grant select on core.items to reader with grant option;
        grant select (color), update (price) on core.items to clerk;
        revoke select on core.items from clerk;
        grant select (color) on core.items to clerk;
        grant select on other.red to reader, public;
        comment on table core.items is 'It''s what we sell';
        comment on column core.items.color is 'As painted';
        comment on view other.red is 'Red ones';
        create statistics core.of_items on color, price from core.items;
        grant create, usage on schema core to owner_of_items;
        alter table core.items owner to owner_of_items;
        alter view core.paired owner to owner_of_items;
    """)
    return items


@MATERIALIZED
@MODE
def test_what_stands_on_the_table_stays(surrounded: Items, materialized: str, mode: str) -> None:
    before = surrounded.surroundings()
    old_id = surrounded.table_id()
    surrounded.connection.execute("update public.raw_items set price = 7")
    surrounded.refresh(mode=mode, materialized=materialized)
    assert (surrounded.table_id() == old_id) == (mode == "in_place")
    assert surrounded.surroundings() == before
    assert {row[2] for row in surrounded.rows("other.red")} == {7}
    assert surrounded.rows("core.red_count") == [(1000, 7000)]
    assert len(surrounded.rows("core.paired")) == 1000
    surrounded.connection.execute("set role reader")
    assert len(surrounded.rows()) == 1000
    surrounded.connection.execute("reset role")
    # And again: the second refresh starts from what the first has made.
    surrounded.refresh(mode=mode, materialized=materialized)
    assert surrounded.surroundings() == before


@MODE
def test_contract_indexes_and_statistics_are_as_declared(items: Items, mode: str) -> None:
    items.refresh(mode=mode)
    indexes = items.connection.execute(
        "select pg_get_indexdef(indexrelid) ~ 'UNIQUE', indkey::text from pg_index "
        "where indrelid = 'core.items'::regclass order by indkey::text"
    ).fetchall()
    assert indexes == [(True, "1"), (False, "2")]
    checks = items.connection.execute(
        "select pg_get_constraintdef(oid) from pg_constraint "
        "where conrelid = 'core.items'::regclass and contype = 'c' order by 1"
    ).fetchall()
    assert checks == [("CHECK ((item_id > 0))",), ("CHECK ((length(color) < 9))",)]
    columns = items.connection.execute(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = 'core.items'::regclass and attnum > 0 and not attisdropped order by attnum"
    ).fetchall()
    assert columns == [("item_id", "bigint", True), ("color", "text", False), ("price", "numeric(10,2)", False)]
    analyzed = items.connection.execute("select reltuples from pg_class where oid = 'core.items'::regclass").fetchone()
    assert analyzed == (1000,)


@MODE
@pytest.mark.parametrize(
    ("sabotage", "post_hook"),
    [
        ("update public.raw_items set item_id = 1 where item_id < 3", "select 1"),  # the unique index
        ("update public.raw_items set item_id = -1 where item_id = 1", "select 1"),  # the contract
        ("update public.raw_items set item_id = null where item_id = 1", "select 1"),
        ("update public.raw_items set price = price", "select 1 / 0"),  # after the swap
        ("alter table public.raw_items add extra int", "select 1"),  # before the build
    ],
)
def test_a_failure_leaves_everything(surrounded: Items, mode: str, sabotage: str, post_hook: str) -> None:
    before = surrounded.surroundings(), surrounded.table_id(), surrounded.rows()
    surrounded.connection.execute(sabotage)
    surrounded.fail(mode=mode, post_hook=post_hook)
    # Built and not put in place: the next full refresh drops it.
    surrounded.connection.execute("drop table if exists core.items__dbt_tmp")
    assert (surrounded.surroundings(), surrounded.table_id(), surrounded.rows()) == before


def test_a_leftover_of_a_failure_is_dropped_by_the_next_run(items: Items) -> None:
    items.fail(post_hook="select 1 / 0")
    assert len(items.rows("core.items__dbt_tmp")) == 1000
    items.refresh()
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)


LOSSES = {
    "materialized view core.by_color": "create materialized view core.by_color as select color from core.items",
    "constraint of_item on table sales": (
        "create unique index by_hand on core.items (item_id);"
        "create table public.sales (item_id bigint constraint of_item references core.items (item_id))"
    ),
    "constraint to_kind on table core.items": (
        "create table public.kinds (color text primary key); insert into public.kinds values ('red');"
        "alter table core.items add constraint to_kind foreign key (color) references public.kinds"
    ),
    "trigger watch on table core.items": (
        "create function public.watch() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger watch before update on core.items for each row execute function public.watch()"
    ),
    "policy own_only on table core.items": "create policy own_only on core.items using (true)",
    "row security": "alter table core.items enable row level security",
    "rule quiet on table core.items": "create rule quiet as on delete to core.items do nothing",
    "publication of table core.items in publication feed": "create publication feed for table core.items",
    "table heir": "create table public.heir () inherits (core.items)",
    "partitions or heirs of parent": (
        "create table public.parent (item_id bigint not null); alter table core.items inherit public.parent"
    ),
    "function first_item()": (
        "create function public.first_item() returns bigint language sql "
        "begin atomic select min(item_id) from core.items; end"
    ),
    "column wanted of table wishes": "create table public.wishes (wanted core.items[])",
    "rule add on view colors": (
        "create view public.colors as select color from core.items;"
        "create rule add as on insert to public.colors do instead "
        "insert into core.items (color) values (new.color)"
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_relink_would_lose_is_refused_by_name(items: Items, loss: str) -> None:
    items.connection.execute(LOSSES[loss])
    before = items.table_id(), items.rows()
    said = items.fail()
    assert loss in said
    assert "Drop these, or set `full_refresh_mode: in_place`" in said
    assert "create  table" not in said
    assert (items.table_id(), items.rows()) == before


def test_what_a_truncate_would_break_is_refused_by_name(items: Items) -> None:
    items.connection.execute(LOSSES["constraint of_item on table sales"])
    assert "of_item on sales. Drop these first." in items.fail(mode="in_place")
    items.connection.execute("drop table public.sales")
    items.connection.execute(LOSSES["trigger watch on table core.items"])
    items.refresh(mode="in_place")


def test_an_undeclared_index_is_warned_of_by_name(items: Items) -> None:
    items.connection.execute("create index by_hand on core.items (price)")
    done = items.run()
    assert done.returncode == 0
    assert "drops by_hand: name such an index in the model's `indexes`" in done.stdout


def test_a_mode_that_does_not_exist_is_refused(items: Items) -> None:
    assert "is 'sideways': set it to relink or in_place" in items.fail(mode="sideways")


@pytest.fixture
def runner(surrounded: Items) -> Iterator[Items]:
    """The same project, run by a role that is no superuser and not the owner of everything."""
    surrounded.connection.execute("create role runner login password 'ingot'")
    surrounded.connection.execute("grant create, usage on schema core, other, public to runner")
    surrounded.connection.execute("grant select on public.raw_items to runner")
    surrounded.connection.execute("grant create, temporary on database project to runner")
    surrounded.dbt.address = replace(surrounded.dbt.address, user="runner")
    yield surrounded
    surrounded.connection.execute("drop owned by runner cascade; drop role runner")


def test_rights_that_the_runner_lacks_are_refused_by_name(runner: Items) -> None:
    said = runner.fail()
    for lack in (
        "core.items belongs to owner_of_items",
        "core.paired belongs to owner_of_items",
        "other.red belongs to",
    ):
        assert lack in said
    assert "Run: grant owner_of_items to runner; grant ingot to runner." in said
    runner.connection.execute("alter view other.red owner to owner_of_items; grant owner_of_items to runner")
    runner.connection.execute(
        "revoke create on schema other from runner; revoke create on schema core from owner_of_items"
    )
    said = runner.fail()
    assert "core.items belongs to owner_of_items, which may not create there" in said
    assert "grant create on schema core to owner_of_items; grant create on schema other to runner" in said
    runner.connection.execute("grant create on schema other to runner; grant create on schema core to owner_of_items")
    before = runner.surroundings()
    runner.refresh()
    assert runner.surroundings() == before


@contextmanager
def readers(address: Address, queries: list[str]) -> Iterator[list[tuple[float, str, object]]]:
    """Ask each query in a loop, in a thread of its own; yield a list of (seconds, query, answer or error)."""
    answers: list[tuple[float, str, object]] = []
    stop = threading.Event()

    def read(query: str) -> None:
        with connect(address) as connection:
            # A pause, because threads that never sleep would take the interpreter from dbt.
            while not stop.wait(0.002):
                began = time.monotonic()
                try:
                    answer: object = connection.execute(query).fetchone()
                except psycopg.Error as error:
                    answer = error
                answers.append((time.monotonic() - began, query, answer))

    threads = [threading.Thread(target=read, args=[query]) for query in queries]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@MATERIALIZED
@MODE
def test_readers_see_no_error_and_no_empty_table(surrounded: Items, materialized: str, mode: str) -> None:
    """Prepared by psycopg after five times, so that cached plans are among them."""
    queries = ["core.items", "other.red", "core.paired", "core.items as a join other.red as b on a.item_id = b.number"]
    asked = [f"select count(*) from {relations}" for relations in queries] + ["select n from core.red_count"]
    with readers(surrounded.dbt.address, asked) as answers:
        for _ in range(3):
            surrounded.refresh(mode=mode, materialized=materialized)
    assert {answer for _, _, answer in answers} == {(1000,)}
    assert {query for _, query, _ in answers} == set(asked)


def test_a_long_reader_delays_the_refresh_and_nobody_else(items: Items) -> None:
    """Behind a refresh that waits with the lock's own patience, everybody would queue."""
    with (
        connect(items.dbt.address) as long_reader,
        readers(items.dbt.address, ["select count(*) from core.items"]) as asked,
    ):
        with long_reader.transaction():
            long_reader.execute("select 1 from core.items limit 1")
            said = items.fail(patience=3)
        during = len(asked)
        pid = long_reader.info.backend_pid
        items.refresh()
    assert re.search(rf"was not free for a moment in 3 s; it stays as it was. Held by process .*\b{pid}\b", said), said
    assert during > 100
    assert {answer for _, _, answer in asked} == {(1000,)}
    assert max(seconds for seconds, _, _ in asked) < 1.5, (
        "half of the patience: no one waited for the refresh to give up"
    )


def test_a_view_that_would_break_is_refused_before_the_build(items: Items) -> None:
    items.connection.execute("create view core.prices as select price from core.items")
    changed = {"contract": False, "columns": "item_id, color, price::float8 as price"}
    before = items.table_id(), items.rows("core.prices")
    said = items.fail(**changed)
    assert "changes columns that views read: core.prices (column price). Drop these views" in said
    assert (items.table_id(), items.rows("core.prices")) == before
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)
    said = items.fail(mode="in_place", **changed)
    assert "in place cannot change columns: price. Set `full_refresh_mode: relink`" in said
    items.connection.execute("drop view core.prices")
    items.refresh(**changed)


@pytest.mark.parametrize("materialized", ["incremental", "table"])
def test_a_view_of_the_models_name_makes_room(items: Items, materialized: str) -> None:
    items.connection.execute("drop table core.items; create view core.items as select 1 as item_id")
    items.refresh(materialized=materialized)
    assert len(items.rows()) == 1000


def test_hooks_outside_the_transaction_leave_it_whole(items: Items) -> None:
    """dbt's driver begins no transaction after a commit of dbt's: without one, each statement would be final."""
    pre_hook = {"sql": "analyze public.raw_items", "transaction": False}
    before = items.table_id(), items.rows()
    items.connection.execute("update public.raw_items set item_id = 1 where item_id < 3")
    for mode in ("relink", "in_place"):
        items.fail(mode=mode, pre_hook=pre_hook)
        assert (items.table_id(), items.rows()) == before
