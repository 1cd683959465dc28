"""A full refresh that nobody notices: what stands on the table stays, and a failure changes nothing."""

import re

import pytest

from loaders.connection import connect
from tests.project.full_refresh.conftest import MATERIALIZED, MODE, Items
from tests.project.full_refresh.readers import readers


@MATERIALIZED
@MODE
def test_what_stands_on_the_table_stays(surrounded: Items, materialized: str, mode: str) -> None:
    before = surrounded.surroundings()
    old_id = surrounded.table_id()
    surrounded.connection.execute("update public.raw_items set price = 7")
    surrounded.refresh(mode=mode, materialized=materialized)
    assert (surrounded.table_id() == old_id) == (mode != "swap")
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
        ("update public.raw_items set item_id = 1 where item_id < 3", []),  # the unique index
        ("update public.raw_items set item_id = -1 where item_id = 1", []),  # the contract
        ("update public.raw_items set item_id = null where item_id = 1", []),
        ("update public.raw_items set price = price", ["select 1 / 0"]),  # after the swap
        ("alter table public.raw_items add extra int", []),  # before the build
    ],
)
def test_a_failure_leaves_everything(surrounded: Items, mode: str, sabotage: str, post_hook: list[str]) -> None:
    before = surrounded.surroundings(), surrounded.table_id(), surrounded.rows()
    surrounded.connection.execute(sabotage)
    surrounded.fail(mode=mode, post_hook=post_hook)
    # Built and not put in place: the next full refresh drops it.
    surrounded.connection.execute("drop table if exists core.items__dbt_tmp")
    assert (surrounded.surroundings(), surrounded.table_id(), surrounded.rows()) == before


def test_a_post_hook_sees_the_new_table(items: Items) -> None:
    items.connection.execute("update public.raw_items set price = 7")
    items.refresh(post_hook=["create table public.seen as select price from core.items where item_id = 1"])
    assert items.rows("public.seen") == [(7,)]


def test_a_leftover_of_a_failure_is_dropped_by_the_next_run(items: Items) -> None:
    items.fail(post_hook=["select 1 / 0"])
    assert len(items.rows("core.items__dbt_tmp")) == 1000
    items.refresh()
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)


def test_what_a_killed_refresh_leaves_is_dropped_by_the_next(items: Items) -> None:
    """Killed behind the swap: an increment leaves the old table alone, since somebody may use it."""
    items.connection.execute("create table core.items__dbt_retired as select * from core.items")
    with connect(items.dbt.address) as reader:
        reader.execute("begin; select 1 from core.items__dbt_retired limit 1")
        items.dbt.succeed(*items.command({})[:1], "--select", "items")
        said = items.refresh(mode="difference")
        assert "the next full refresh drops what is left: items__dbt_retired is in use" in said
        reader.execute("commit")
    items.refresh()
    assert items.connection.execute("select to_regclass('core.items__dbt_retired')").fetchone() == (None,)


def test_a_mode_that_does_not_exist_is_refused(items: Items) -> None:
    assert "is 'sideways': set it to swap, difference, in_place" in items.fail(mode="sideways")


@MATERIALIZED
@MODE
def test_readers_see_no_error_and_no_empty_table(surrounded: Items, materialized: str, mode: str) -> None:
    """Prepared by psycopg after five times, so that cached plans are among them."""
    queries = ["core.items", "other.red", "core.paired", "core.items as a join other.red as b on a.item_id = b.number"]
    asked = [f"select count(*) from {relations}" for relations in queries] + ["select n from core.red_count"]
    # Waits of more than 0.1 s are counted where nothing else runs: in the slow run of test_everything_at_once.
    longest_wait_ms = 0 if mode == "in_place" else 2000
    with readers(surrounded.dbt.address, asked, longest_wait_ms=longest_wait_ms) as answers:
        for _ in range(3):
            surrounded.refresh(mode=mode, materialized=materialized)
        if mode != "in_place":  # longer than a reader waits
            slow = "item_id, color, price + (select 0 from pg_sleep(3)) as price"
            surrounded.refresh(mode=mode, materialized=materialized, columns=slow)
    assert {answer for _, _, answer in answers} == {(1000,)}
    assert {query for _, query, _ in answers} == set(asked)


def test_a_long_reader_delays_the_refresh_and_nobody_else(items: Items) -> None:
    """Behind a refresh that waits with the lock's own patience, everybody would queue."""
    # A key that rows may lack keeps it from going by difference.
    impossible: dict[str, object] = {"contract": False, "unique_key": []}
    items.connection.execute("alter table core.items drop constraint item_id_is_positive, alter item_id drop not null")
    with (
        connect(items.dbt.address) as long_reader,
        readers(items.dbt.address, ["select count(*) from core.items"]) as asked,
    ):
        with long_reader.transaction():
            long_reader.execute("select 1 from core.items limit 1")
            said = items.fail(patience=6, **impossible)
        during = len(asked)
        pid = long_reader.info.backend_pid
        items.refresh(**impossible)
    assert "was not free for a moment in 6 s; it stays as it was: canceling statement due to lock timeout" in said
    assert re.search(rf"held by process .*\b{pid}\b", said), said
    assert during > 100
    assert {answer for _, _, answer in asked} == {(1000,)}
    assert max(seconds for seconds, _, _ in asked) < 4, (
        "less than the patience: no one waited for the refresh to give up"
    )


def test_a_view_that_would_break_is_refused_before_the_build(items: Items) -> None:
    items.connection.execute("alter table core.items drop constraint item_id_is_positive, alter item_id drop not null")
    items.connection.execute("create view core.prices as select price from core.items")
    changed = {"contract": False, "columns": "item_id, color, price::float8 as price"}
    before = items.table_id(), items.rows("core.prices")
    said = items.fail(**changed)
    assert "changes columns that views read: core.prices (column price)" in said
    assert (items.table_id(), items.rows("core.prices")) == before
    assert items.connection.execute("select to_regclass('core.items__dbt_tmp')").fetchone() == (None,)
    said = items.fail(mode="in_place", **changed)
    assert "cannot go in place, because of: price" in said
    items.connection.execute("drop view core.prices")
    items.refresh(**changed)


def test_the_key_may_change_its_type(items: Items) -> None:
    """The model's indexes on it have the new type's operator class then, which is no loss; one made by hand is one."""
    indexes = (
        "select pg_get_indexdef(indexrelid, 1, false), opcname from pg_index"
        " inner join pg_opclass on pg_opclass.oid = indclass[0] where indrelid = 'core.items'::regclass order by 1"
    )
    before = items.table_id()
    items.refresh(key_type="integer", columns="item_id::integer as item_id, color, price")
    assert items.table_id() != before
    assert items.connection.execute(indexes).fetchall() == [("color", "text_ops"), ("item_id", "int4_ops")]
    items.connection.execute("create index by_hand on core.items (item_id, price)")
    assert "a swap would lose: index by_hand" in items.fail(key_type="bigint")


def test_the_models_fillfactor_goes_before_the_tables(items: Items) -> None:
    options = "select reloptions from pg_class where oid = 'core.items'::regclass"
    assert items.connection.execute(options).fetchall() == [(["fillfactor=90"],)]
    items.connection.execute("alter table core.items set (fillfactor = 80, autovacuum_enabled = false)")
    items.refresh()
    assert items.connection.execute(options).fetchall() == [(["fillfactor=80", "autovacuum_enabled=false"],)]
    items.refresh(fillfactor=100)
    assert items.connection.execute(options).fetchall() == [(["fillfactor=100", "autovacuum_enabled=false"],)]


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
    for mode in ("swap", "difference", "in_place"):
        items.fail(mode=mode, pre_hook=pre_hook)
        assert (items.table_id(), items.rows()) == before
