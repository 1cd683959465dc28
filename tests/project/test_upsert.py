"""The strategy upsert: its errors name their fix, and re-delivered rows leave no bloat."""

import json
from pathlib import Path

import psycopg
import pytest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address
from tests.project.conftest import Dbt
from tests.waiting import wait_for_statistics

MODEL = """
{{{{ config(
    materialized='incremental', incremental_strategy='upsert', on_schema_change='fail',
    unique_key={key}, indexes=[{indexes}], incremental_predicates={predicates},
) }}}}
select {columns} from public.landed
"""
COLUMNS = "branch_id, item_id, note, current_timestamp as _inserted_at, current_timestamp as _updated_at"
UNIQUE = "{'columns': ['item_id', 'branch_id'], 'unique': true}"
LANDED = "create table public.landed (branch_id int, item_id int, note text)"
# Increments in one command, each its own transaction: what the strategy renders for a delta of what `landed` selects.
DELIVER = """
{% macro deliver(landed, times) %}
    {% set table = api.Relation.create(schema='core', identifier='items', type='table') %}
    {% set delta = api.Relation.create(identifier='delta') %}
    {% set columns = adapter.get_columns_in_relation(table) %}
    {% do run_query('commit') %}
    {% for delivery in range(times) %}
        {% do run_query('create temporary table delta as select *, now() as _inserted_at, now() as _updated_at from ('
            ~ landed | replace('DELIVERY', delivery) ~ ') as landed') %}
        {% do run_query(get_incremental_upsert_sql({
            'target_relation': table, 'temp_relation': delta, 'unique_key': ['branch_id', 'item_id'],
            'dest_columns': columns, 'incremental_predicates': none,
        })) %}
        {% do run_query('drop table delta') %}
    {% endfor %}
{% endmacro %}
"""


class Table:
    def __init__(self, dbt: Dbt, connection: psycopg.Connection) -> None:
        self.dbt = dbt
        self.connection = connection

    def declare(
        self, *, key: str = "['branch_id', 'item_id']", indexes: str = UNIQUE, columns: str = COLUMNS,
        predicates: str = "none",
    ) -> None:  # fmt: skip
        text = MODEL.format(key=key, indexes=indexes, columns=columns, predicates=predicates)
        (self.dbt.project / "models" / "items.sql").write_text(text)
        self.dbt.manifest = self.dbt.parse()

    def land(self, rows: str) -> None:
        self.connection.execute("truncate public.landed")
        self.connection.execute(f"insert into public.landed {rows}")

    def run(self) -> None:
        self.dbt.succeed("run")

    def fail(self) -> str:
        done = self.dbt.run("run")
        assert done.returncode == 1, done.stdout
        return done.stdout

    def number(self, query: str) -> float:
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return float(row[0])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for all tests, so that each parses its model alone."""
    folder = tmp_path_factory.mktemp("upsert")
    write_scratch_project(folder, {"items.sql": "select 1 as item_id"})
    (folder / "macros" / "deliver.sql").write_text(DELIVER)
    return folder


@pytest.fixture
def table(address: Address, connection: psycopg.Connection, project: Path) -> Table:
    connection.execute(LANDED)
    table = Table(Dbt(address, project, project), connection)
    table.land("values (1, 1, 'one'), (1, 2, null)")
    return table


def test_a_missing_key_names_the_fix(table: Table) -> None:
    table.declare(key="none")
    table.run()
    assert "The strategy upsert needs a key: set `unique_key` in the config of" in table.fail()


def test_predicates_are_refused(table: Table) -> None:
    table.declare(predicates="['true']")
    table.run()
    assert "finds rows by their key alone: remove `incremental_predicates` from the config of" in table.fail()


@pytest.mark.one_server("on a cluster the planner of each shard decides")
def test_a_small_delta_is_looked_up_and_a_large_one_hashed(table: Table) -> None:
    """The cost of an increment follows its rows: a small one reads no page of the table but theirs."""
    table.declare()
    table.land("select i % 50, i, md5(i::text) from generate_series(1, 20000) as i")
    table.run()
    table.connection.execute("vacuum analyze core.items")
    scans = "select seq_tup_read from pg_stat_user_tables where relname = 'items'"
    for share, is_read_whole in ((10, False), (2, True)):
        table.land(f"select i % 50, i, md5(i::text) from generate_series(1, 20000, {share}) as i")
        wait_for_statistics(table.connection)
        before = table.number(scans)
        table.run()
        wait_for_statistics(table.connection)
        assert (table.number(scans) - before >= 20_000) == is_read_whole, share


@pytest.mark.parametrize(
    "indexes",
    [
        "",
        "{'columns': ['item_id', 'branch_id']}",
        pytest.param(
            "{'columns': ['item_id'], 'unique': true}",
            marks=pytest.mark.one_server("a unique index has the column that the table is distributed by"),
        ),
        "{'columns': ['item_id', 'branch_id', 'note'], 'unique': true}",
    ],
)
def test_a_missing_unique_index_names_the_fix(table: Table, indexes: str) -> None:
    table.declare(indexes=indexes)
    table.run()
    said = table.fail()
    assert "has no unique index on exactly (branch_id, item_id): set `indexes: [{columns: [branch_id, item_id]" in said
    assert "dbt run --full-refresh --select items" in said


@pytest.mark.parametrize(
    "index",
    [
        "create unique index on core.items (branch_id, item_id) where note is not null",
        "create unique index on core.items (branch_id, (item_id + 0))",
        "alter table core.items add unique (branch_id, item_id) deferrable",
    ],
)
def test_an_index_that_tells_no_conflict_does_not_count(table: Table, index: str) -> None:
    table.declare(indexes="")
    table.run()
    table.connection.execute(index)
    assert "has no unique index on exactly (branch_id, item_id)" in table.fail()


def test_a_table_of_keys_alone_takes_new_ones(table: Table) -> None:
    table.declare(columns="branch_id, item_id, current_timestamp as _inserted_at")
    table.run()
    table.land("values (1, 1, null), (2, 2, null)")
    table.run()
    assert table.number("select count(*) from core.items") == 3


def test_a_value_that_becomes_null_is_a_change_and_null_again_is_none(table: Table) -> None:
    table.declare()
    table.run()
    table.land("values (1, 1, null), (1, 2, null)")
    table.run()
    changed = "select array_agg(item_id order by item_id) from core.items where _updated_at > _inserted_at"
    assert table.connection.execute(changed).fetchone() == ([1],)


@pytest.mark.one_server("pages are those of a shard")
def test_a_changed_row_stays_on_its_page(table: Table) -> None:
    """So that its new version needs no new entry in an index (HOT) where no indexed column changed."""
    rows = "select i % 50, i, md5((i {changed})::text) from generate_series(1, 20000) as i"
    table.declare()
    table.land(rows.format(changed=""))
    table.run()
    pages = "select item_id, (ctid::text::point)[0] from core.items order by item_id"
    before = table.connection.execute(pages).fetchall()
    table.land(rows.format(changed="+ 1") + " where i % 20 = 0")
    table.run()
    assert table.number("select count(*) from core.items where _updated_at > _inserted_at") == 1_000
    assert table.connection.execute(pages).fetchall() == before


@pytest.mark.one_server("its delta is a table of the coordinator")
def test_re_delivered_rows_leave_no_bloat(table: Table) -> None:
    """50 increments, each of a fifth of the rows of which one in twenty changed; no vacuum comes by."""
    rows, size = 20_000, "select pg_total_relation_size('core.items')"
    share = "select pg_indexes_size('core.items') / pg_total_relation_size('core.items')::float8"
    table.declare(indexes=UNIQUE + ", {'columns': ['branch_id']}, {'columns': ['item_id']}")
    table.land(f"select i % 50, i, md5(i::text) from generate_series(1, {rows}) as i")
    table.run()
    table.connection.execute("alter table core.items set (autovacuum_enabled = off)")
    fresh, fresh_size = table.number(share), table.number(size)
    delivered = (
        "select i % 50 as branch_id, i as item_id, "
        "md5((case when i / 5 % 20 = DELIVERY % 20 then DELIVERY else 0 end + i)::text) as note "
        f"from generate_series(1, {rows}) as i where i % 5 = DELIVERY % 5"
    )
    table.dbt.succeed("run-operation", "deliver", "--args", json.dumps({"landed": delivered, "times": 50}))
    wait_for_statistics(table.connection)
    assert table.number("select n_tup_upd from pg_stat_user_tables where relname = 'items'") > 5_000
    grown, grown_size = table.number(share), table.number(size)
    assert grown < 1.1 * fresh, (grown, fresh)
    # The share alone would not tell: where every row is written, table and indexes grow alike.
    assert grown_size < 1.2 * fresh_size, (grown_size, fresh_size)
