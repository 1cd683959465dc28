"""What a swap would lose survives, because the refresh changes the rows that differ; or it refuses by name."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loaders.connection import connect
from tests.project.full_refresh.conftest import MATERIALIZED, Items

TRIGGER = (
    "create function public.watch() returns trigger language plpgsql as 'begin return new; end';"
    "create trigger watch before update on core.items {each} execute function public.watch()"
)
OF_ITEM = (
    "create unique index by_hand on core.items (item_id);"
    "create table public.sales (item_id bigint constraint of_item references core.items (item_id))"
)
# What is attached, and how the refresh names it.
ATTACHED = {
    "alter table core.items owner to owner_of_items": "relowner = ",
    "alter table core.items replica identity full": "relreplident = f",
    "alter table core.items set (toast.autovacuum_enabled = off)": "the parameters of its toast table",
    "alter table core.items add constraint by_hand check (price > -1)": "constraint by_hand",
    "alter table core.items add constraint by_hand unique (item_id, color)": "constraint by_hand",
    "alter table core.items alter color set not null": "color",
    "alter table core.items alter color set default 'red'": "default value for column color of table core.items",
    "alter table core.items alter color set statistics 500": "column color: attstattarget = 500",
    "alter table core.items alter color set (n_distinct = 7)": 'column color: attoptions = ["n_distinct=7"]',
    "alter table core.items alter color set storage external": "column color: attstorage = e",
    "alter table core.items alter color set compression pglz": "column color: attcompression = p",
    "alter table core.items add note text default 'mine'": "column note, which the model has not",
    "create index by_hand on core.items (price)": "index by_hand",
    "create index by_hand on core.items (price); cluster core.items using by_hand": "index by_hand",
    "alter index {key} set (fillfactor = 50)": "index ",
    "create statistics core.of_items on color, price from core.items": "statistics object core.of_items",
    "comment on constraint item_id_is_positive on core.items is 'No zero'": "comment on constraint item_id_is_positive",
    "create materialized view core.by_color as select color from core.items": "materialized view core.by_color",
    "create policy own_only on core.items using (true)": "policy own_only on table core.items",
    "create publication feed for table core.items with (publish = 'insert')": "publication feed",
    "create publication feed for all tables with (publish = 'insert')": "publication feed",
    "create publication feed for tables in schema core with (publish = 'insert')": "publication feed",
    "create function public.first_item() returns bigint language sql begin atomic "
    "select min(item_id) from core.items; end": "function first_item()",
    "create table public.wishes (wanted core.items[])": "column wanted of table wishes",
    "create table public.kinds (color text primary key); insert into public.kinds values ('red'), ('blue'); "
    "alter table core.items add constraint to_kind foreign key (color) references public.kinds": "constraint to_kind",
    "create table public.parent (item_id bigint not null); alter table core.items inherit public.parent": "parent",
    "alter extension hstore add table core.items": "extension hstore",
    "create view public.colors as select color from core.items; create rule add as on insert to public.colors "
    "do instead insert into core.items (color) values (new.color)": "rule add on view colors",
    "set allow_system_table_mods = on; insert into pg_seclabel values "
    "('core.items'::regclass, 'pg_class'::regclass, 0, 'acme', 'secret')": "security label of acme on table core.items",
    TRIGGER.format(each="for each statement"): "trigger watch on table core.items",
}
# All of the catalogs that speak of the table, but for what any increment changes.
KEPT = """
    select jsonb_agg(to_jsonb(t) - '{relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relhasindex}'::text[])
    from pg_class as t where oid = 'core.items'::regclass
    union all
    select jsonb_agg(to_jsonb(a) order by attnum) from pg_attribute as a where attrelid = 'core.items'::regclass
    union all
    select jsonb_agg(to_jsonb(i) order by indexrelid) from pg_index as i where indrelid = 'core.items'::regclass
    union all
    select jsonb_agg(to_jsonb(c) order by oid) from pg_constraint as c where conrelid = 'core.items'::regclass
    union all
    select jsonb_agg(to_jsonb(d) order by to_jsonb(d))
    from pg_depend as d
    where (refclassid, refobjid) = ('pg_class'::regclass, 'core.items'::regclass)
        or (classid, objid) = ('pg_class'::regclass, 'core.items'::regclass)
    union all
    select jsonb_agg(to_jsonb(l)) from pg_seclabel as l
    union all
    select jsonb_agg(to_jsonb(d) order by to_jsonb(d)) from pg_description as d where objoid > 16384
    union all
    select jsonb_agg(to_jsonb(p)) from pg_publication_tables as p where tablename = 'items'
"""


def key_of(items: Items) -> str:
    """The name of the model's unique index, which dbt has made up."""
    [(key,)] = items.connection.execute(
        "select indexrelid::regclass::text from pg_index where indrelid = 'core.items'::regclass and indisunique"
    ).fetchall()
    return str(key)


@pytest.fixture
def items(items: Items, roles: None) -> Items:
    return items


def kept(items: Items) -> list[object]:
    return [row[0] for row in items.connection.execute(KEPT).fetchall()]


# Five refreshes of six each; what has the same name is in different ones.
@pytest.mark.parametrize("attached", [list(ATTACHED)[first::5] for first in range(5)], ids=str)
def test_what_is_attached_stays_and_is_named(items: Items, attached: list[str]) -> None:
    key = key_of(items)
    for attach in attached:
        if "hstore" in attach:
            items.connection.execute("create extension hstore")
        items.connection.execute(attach.replace("{key}", key))
    before = kept(items)
    items.connection.execute("update public.raw_items set color = 'blue' where item_id = 7")
    items.connection.execute("delete from public.raw_items where item_id = 8")
    items.connection.execute("insert into public.raw_items values (1001, 'red', 1)")
    done = items.run()
    assert done.returncode == 0, done.stdout
    assert '"items" goes by difference, since a swap would lose: ' in done.stdout
    assert [attach for attach in attached if ATTACHED[attach] not in done.stdout] == []
    assert kept(items) == before
    expected = items.connection.execute("select * from public.raw_items order by 1").fetchall()
    columns = "select item_id, color, price from core.items order by 1"
    assert items.connection.execute(columns).fetchall() == expected


def test_columns_added_by_hand_keep_their_values(items: Items) -> None:
    items.connection.execute("alter table core.items add note text; update core.items set note = 'mine'")
    items.connection.execute("update public.raw_items set color = 'blue' where item_id = 7")
    items.refresh()
    assert items.connection.execute("select color, note from core.items where item_id = 7").fetchall() == [
        ("blue", "mine")
    ]
    said = items.fail(columns="item_id, color, price::float8 as price", contract=False)
    assert "column note, which the model has not" in said
    assert "column price changes" in said


@MATERIALIZED
def test_rows_that_did_not_change_are_not_written(items: Items, materialized: str) -> None:
    items.connection.execute("alter table core.items alter price drop not null")
    physical = "select item_id, ctid, xmin::text, xmax::text from core.items"
    before = set(items.connection.execute(physical).fetchall())
    items.connection.execute("update public.raw_items set price = null where item_id = 7")
    items.refresh(mode="difference", materialized=materialized)
    after = set(items.connection.execute(physical).fetchall())
    assert {row[0] for row in after - before} == {7}
    items.refresh(mode="difference", materialized=materialized)
    assert set(items.connection.execute(physical).fetchall()) == after, "null again is no change"


# What lets no difference go through, and how the error names it.
BLOCKING = {
    OF_ITEM: "constraint of_item on table sales",
    TRIGGER.format(each="for each row"): "trigger watch on table core.items",
    "create rule quiet as on delete to core.items do nothing": "rule quiet on table core.items",
    "create table public.heir () inherits (core.items)": "table heir, which inherits from it",
    "drop index {key}; create statistics core.of_items on color, price from core.items": "of the model is missing",
    "alter table core.items alter item_id drop not null, alter color set statistics 500": "no unique index has",
}


@pytest.mark.parametrize("attach", BLOCKING)
def test_what_stands_in_the_way_is_refused_by_name(items: Items, attach: str) -> None:
    items.connection.execute(attach.replace("{key}", key_of(items)))
    before = items.table_id(), items.rows(), kept(items)
    said = items.fail()
    assert "cannot go by difference (a swap would lose: " in said
    assert BLOCKING[attach] in said
    assert "analyze" not in said, "before it builds"
    assert (items.table_id(), items.rows(), kept(items)) == before


def test_duplicates_in_the_new_rows_are_refused(items: Items) -> None:
    items.connection.execute("insert into public.raw_items values (7, 'blue', 1)")
    before = items.rows()
    assert "have duplicates of (item_id)" in items.fail(mode="difference")
    assert items.rows() == before


def test_what_a_truncate_would_break_is_refused_by_name(items: Items) -> None:
    items.connection.execute(OF_ITEM)
    assert "cannot go in place, because of: constraint of_item on table sales" in items.fail(mode="in_place")
    items.connection.execute("drop table public.sales")
    items.connection.execute(TRIGGER.format(each="for each row"))
    items.refresh(mode="in_place")
    assert items.connection.execute("select to_regclass('core.by_hand') is not null").fetchone() == (True,)


def test_what_a_rebuild_in_place_would_lose_is_refused_by_name(items: Items) -> None:
    key = key_of(items)
    items.connection.execute(f"comment on index {key} is 'The key'")
    assert f"because of: comment on index {key}" in items.fail(mode="in_place")


def test_an_index_that_the_model_has_dropped_goes(items: Items) -> None:
    """dbt names its own by an md5, so that one of the model's past is told from one made by hand."""
    items.connection.execute('create index "0123456789abcdef0123456789abcdef" on core.items (price)')
    old_id = items.table_id()
    items.refresh()
    assert items.table_id() != old_id
    assert len(items.connection.execute("select from pg_index where indrelid = 'core.items'::regclass").fetchall()) == 2


@pytest.fixture
def runner(surrounded: Items) -> Iterator[Items]:
    """The same project, run by a role that is no superuser and not the owner of everything."""
    surrounded.connection.execute("create role runner login password 'ingot'")
    surrounded.connection.execute(
        "grant create, usage on schema core, public to runner; grant usage on schema other to runner"
    )
    surrounded.connection.execute("grant select on public.raw_items to runner")
    surrounded.connection.execute("grant create, temporary on database project to runner")
    surrounded.connection.execute("alter table core.items owner to runner")
    surrounded.dbt.address = replace(surrounded.dbt.address, user="runner", password="ingot")
    yield surrounded
    surrounded.connection.execute("drop owned by runner cascade; drop role runner")


def test_views_that_the_role_may_not_replace_stay(runner: Items) -> None:
    before = runner.surroundings()
    runner.connection.execute("update public.raw_items set price = 7")
    done = runner.run()
    assert done.returncode == 0, done.stdout
    assert "view other.red, which runner may not replace" in done.stdout
    assert "view core.paired, which runner may not replace" in done.stdout
    assert runner.surroundings() == before
    assert {row[2] for row in runner.rows("other.red")} == {7}

    runner.connection.execute("grant owner_of_items, postgres to runner; grant create on schema other to runner")
    old_id = runner.table_id()
    runner.refresh()
    assert runner.table_id() != old_id
    assert runner.surroundings() == before


def test_row_security_that_binds_the_builder_is_refused(runner: Items) -> None:
    runner.connection.execute("alter table core.items enable row level security, force row level security")
    assert "row security" in runner.fail()
    runner.connection.execute("alter table core.items no force row level security")
    done = runner.run()
    assert done.returncode == 0, done.stdout
    assert "relrowsecurity = true" in done.stdout


def test_a_tablespace_stays(items: Items) -> None:
    with connect(items.dbt.address) as connection:
        connection.execute("set allow_in_place_tablespaces = on")
        connection.execute("create tablespace fast location ''")
        try:
            connection.execute("alter table core.items set tablespace fast")
            before = kept(items)
            done = items.run()
            assert done.returncode == 0, done.stdout
            assert "reltablespace = " in done.stdout
            assert kept(items) == before
        finally:
            connection.execute("alter table core.items set tablespace pg_default")
            connection.execute("drop tablespace fast")
