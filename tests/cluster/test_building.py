"""dbt on a cluster: core is distributed, marts are on every node, and the rows are those of one server."""

import random
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.generate.people import generate_people
from loaders.cluster import LocalCluster
from loaders.connection import connect
from loaders.server import LocalServer
from tests.project.conftest import Bronze, Dbt
from tests.project.deliveries import SIZES, Size, check_engines
from tests.project.engines import DuckDB, Engine, PostgreSQL, tables
from tests.project.gym_feed import MEMBERS, SALES, Entity, Feed
from tests.project.loads import complete
from tests.project.persons import CORE, PLACES

KINDS = "select table_name::text, citus_table_type, distribution_column from citus_tables where table_name::text = %s"
PEOPLE = ["--select", "source:people+", "--exclude", "resource_type:unit_test"]


@pytest.fixture
def people(bronze: Bronze) -> Bronze:
    generate_people(bronze.root / "people", rows=2000, seed=1)
    bronze.load()
    return bronze


def test_a_build_of_everything(dbt: Dbt, people: Bronze, connection: psycopg.Connection, cluster: LocalCluster) -> None:
    dbt.succeed("build", "--exclude-resource-type", "unit_test")
    for table, kind, column in (
        ("core.people", "distributed", "person_id"),
        ("core.gym_entries", "distributed", "entry_id"),
        ("core.gym_sale_items", "distributed", "sale_item_id"),
        ("core.shop_items_plan", "reference", "<none>"),
        ("marts.people_older_than", "reference", "<none>"),
    ):
        assert connection.execute(KINDS, [table]).fetchone() == (table, kind, column)
    left = "select table_name::text from citus_tables where table_name::text ~ '__dbt_'"
    assert connection.execute(left).fetchall() == []
    mart = "select count(*), sum(older_count) from marts.people_older_than"
    for worker in cluster.workers:
        with connect(worker.address) as elsewhere:
            assert elsewhere.execute(mart).fetchone() == connection.execute(mart).fetchone()
            assert elsewhere.execute("select count(*) from core.people").fetchone() == (2000,)


@pytest.mark.parametrize(("entity", "seed"), [(MEMBERS, 1), (SALES, 9)], ids=["members", "sales"])
def test_any_sequence_of_increments_gives_what_a_full_refresh_and_the_rules_give(
    entity: Entity, seed: int, dbt: Dbt, bronze: Bronze, connection: psycopg.Connection
) -> None:
    dice = random.Random(seed)
    bronze.load()
    dbt.succeed("run", "--select", *entity.views)
    feed = Feed(bronze, entity)
    loads: list[int] = []
    for run in dice.sample(range(1, 6), 5):
        records = [entity.draw(dice) for _ in range(dice.randrange(2, 9))]
        feed.write(run, 1, records)
        feed.write(run, 2, [*dice.choices(records, k=2), entity.draw(dice)])
        loads += feed.load()
    for load_id in loads:
        complete(connection, load_id, is_complete=False)
    for load_id in dice.sample(loads, len(loads)):
        complete(connection, load_id, is_complete=True)
        dbt.succeed("run", "--select", *entity.tables)
    expected = feed.expected()
    assert all(expected.values()), "the dice left a table empty"
    assert entity.core(connection) == expected
    applied = "select load_id from ops.applied_loads where model = 'core.' || %s order by 1"
    for model in entity.tables:
        assert [row[0] for row in connection.execute(applied, [model])] == loads
    dbt.succeed("run", "--select", *entity.tables, "--full-refresh")
    assert entity.core(connection) == expected


def test_unchanged_rows_are_not_written(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    persons = dict.fromkeys(range(1, 501), f"Name,30,true,{PLACES[0]}")
    bronze.write_people("1", persons)
    bronze.load()
    dbt.succeed("run", "--select", "+people")
    # A row's place on its shard's node: an update, and a lock, would change one of them.
    places = "select person_id, ctid::text, xmin::text, xmax::text from core.people order by 1"
    before = connection.execute(places).fetchall()
    bronze.write_people("2", persons | {7: f"Other,30,true,{PLACES[0]}", 501: f"New,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", "--select", "people")
    after = connection.execute(places).fetchall()
    assert {row[0] for row in set(after) - set(before)} == {7, 501}
    kept = "select person_id, _inserted_at = _updated_at from core.people where person_id in (7, 8, 501) order by 1"
    assert connection.execute(kept).fetchall() == [(7, False), (8, True), (501, True)]


def test_a_load_that_replaces_rows_goes_by_difference(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    bronze.write_people("1", {1: f"Ada,30,true,{PLACES[0]}", 2: f"Bob,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    bronze.write_people("1", {2: f"Bob,31,true,{PLACES[0]}", 3: f"Cem,30,true,{PLACES[0]}"})
    bronze.load(full_refresh=True)
    dbt.succeed("run", *PEOPLE)
    assert [row[:3] for row in connection.execute(CORE)] == [(2, "Bob", 31), (3, "Cem", 30)]
    assert connection.execute(KINDS, ["core.people"]).fetchone() == ("core.people", "distributed", "person_id")


def test_what_is_attached_is_kept_or_refused_by_name(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, superuser: psycopg.Connection
) -> None:
    bronze.write_people("1", {1: f"Ada,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    superuser.execute("drop role if exists reader; create role reader")
    connection.execute("grant select on core.people to reader")
    connection.execute("create view public.adults as select person_id, age from core.people")
    refresh = ["run", "--select", "people", "--full-refresh"]
    dbt.succeed(*refresh)
    assert connection.execute("select has_table_privilege('reader', 'core.people', 'select')").fetchone() == (True,)
    assert connection.execute("select * from public.adults").fetchall() == [(1, 30)]

    # By hand, so a swap would lose it: by difference it stays.
    connection.execute("create index by_hand on core.people (age)")
    done = dbt.run(*refresh)
    assert done.returncode == 0, done.stdout
    indexes = "select count(*) from pg_indexes where schemaname = 'core' and indexname = 'by_hand'"
    assert connection.execute(indexes).fetchone() == (1,)
    connection.execute("drop view public.adults")


def test_a_rebuild_in_place(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, parsed: Manifest) -> None:
    bronze.write_people("1", {1: f"Ada,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    node = parsed.nodes["model.ingot.people"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(node.config.meta, "full_refresh_mode", "in_place")
        bronze.write_people("2", {2: f"Bob,30,true,{PLACES[0]}"})
        bronze.load()
        dbt.succeed("run", "--select", "people", "--full-refresh")
    assert [row[1] for row in connection.execute(CORE)] == ["Ada", "Bob"]


def test_a_distribution_that_keys_cannot_bear_is_refused(dbt: Dbt, bronze: Bronze, parsed: Manifest) -> None:
    bronze.write_people("1", {1: f"Ada,30,true,{PLACES[0]}"})
    bronze.load()
    meta = parsed.nodes["model.ingot.people"].config.meta
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(meta, "distributed_by", "age")
        done = dbt.run("run", *PEOPLE)
        assert "is distributed by age, which is not in its `unique_key` (person_id)" in done.stdout
        patch.setitem(meta, "reference", True)
        done = dbt.run("run", *PEOPLE)
        assert "has `distributed_by` and `reference: true` in its `meta`" in done.stdout


@pytest.mark.parametrize("size", SIZES)
def test_three_engines_build_the_same_rows(
    size: Size, server: LocalServer, dbt: Dbt, parsed: Manifest, bronze: Bronze, tmp_path: Path
) -> None:
    alone = replace(server.address, database="project")
    with connect(server.superuser_address) as superuser:
        superuser.execute("drop database if exists project with (force)")
        superuser.execute("create database project owner ingot")
    on_server = Dbt(alone, tmp_path / "server", manifest=parsed)
    engines: dict[str, Engine] = {
        "PostgreSQL": PostgreSQL(on_server, Bronze(bronze.root, alone)),
        "Citus": PostgreSQL(dbt, bronze),
        "DuckDB": DuckDB(tmp_path / "duckdb", bronze.root),
    }
    (tmp_path / "duckdb").mkdir()
    check_engines(engines, size, tmp_path / "store", bronze, tables(parsed))
