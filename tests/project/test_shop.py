"""The shop: each endpoint's two forms agree, and the balances follow the ledgers."""

import asyncio

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.generate.shop import generate_shop
from bench.queries.answers import check_answers
from bench.queries.benchmarks import Benchmark, read_benchmarks
from bench.queries.run import Run
from loaders.connection import Address
from tests.project.conftest import Bronze, Dbt

SHOP = ["--select", "source:shop+", "shop_items_plan+", "shop_mods_plan+"]
ENDPOINTS = ["attachable_items", "catalog", "checkout", "credit", "items_to_buy", "mod_stock", "recommendations"]
BALANCES = {
    "items": "select item_id, stock from marts.shop_item_stock order by 1",
    "catalog": "select item_id, stock from marts.shop_catalog order by 1",
    "types": "select item_type, stock from marts.shop_item_type_stock order by 1",
    "mods": "select mod_sku, stock from marts.shop_mod_stock order by 1",
    "credit": "select items_credit, mods_credit, credit from marts.shop_credit",
    "roles": "select role, item_type, bought_count from marts.shop_role_item_types order by 1, 2",
}
BREAKAGES = {
    "marts.shop_item_stock": "update {table} set stock = stock + case item_id when 1 then 1 when 2 then -1 else 0 end",
    "marts.shop_catalog": "delete from {table} where item_id = (select max(item_id) from {table})",
    "marts.shop_item_type_stock": "update {table} set stock = stock + 1 where item_type = 'armor'",
    "marts.shop_mod_stock": "delete from {table} where mod_sku = 'FIRE'",
    "marts.shop_credit": "update {table} set credit = credit + 1",
    "marts.shop_role_item_types": "update {table} set bought_count = bought_count + 1 where role = 'mage'",
}
LEDGER = "id,item_id,item_sku,qty_change,credit_change,customer_id,created_at\n"


@pytest.fixture
def shop(bronze: Bronze) -> Bronze:
    """A bronze root with a small shop that is landed."""
    generate_shop(bronze.root / "shop", rows=5000, seed=1)
    bronze.load("shop.customers")
    return bronze


def balances(connection: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {name: connection.execute(query).fetchall() for name, query in BALANCES.items()}


def benchmarks(dbt: Dbt, parsed: Manifest) -> list[Benchmark]:
    dbt.succeed("compile", "--select", "resource_type:analysis")
    found = read_benchmarks(parsed.writable_manifest().to_dict())
    return [one for one in found if one.question.startswith("shop_")]


def test_every_endpoint_answers_alike_from_the_ledgers_and_the_marts(
    dbt: Dbt, parsed: Manifest, shop: Bronze, address: Address, connection: psycopg.Connection
) -> None:
    dbt.succeed("seed")
    dbt.succeed("run", *SHOP)
    asked = benchmarks(dbt, parsed)
    forms = [(f"shop_{endpoint}", layer) for endpoint in ENDPOINTS for layer in ("core", "mart")]
    assert [(one.question, one.layer) for one in asked] == forms
    assert [one.name for one in asked] == [
        f"{question}_{'ledger' if layer == 'core' else layer}" for question, layer in forms
    ]
    # Every ledger form reads a ledger; a mart form only looks one customer's entries up there.
    for one in asked:
        ledgers = [name for _, name in one.reads if name.endswith("_ledger")]
        assert bool(ledgers) == (one.layer == "core" or one.question == "shop_checkout"), one.name

    run = Run(address=address, driver="asyncpg", connections=2, seconds=1, seed=1)
    assert asyncio.run(check_answers(asked, run)) > 900
    # Answers that are all empty would be equal too.
    counts = {name: len(rows) for name, rows in balances(connection).items()}
    assert 10 < counts["catalog"] < counts["items"] == 24
    assert (counts["types"], counts["mods"], counts["credit"], counts["roles"]) == (3, 3, 1, 15)


def test_an_increment_of_the_ledgers_moves_the_balances(dbt: Dbt, shop: Bronze, connection: psycopg.Connection) -> None:
    dbt.succeed("seed")
    dbt.succeed("run", *SHOP)
    before = balances(connection)
    stocks = dict(before["items"])
    item_id, stock = next(one for one in before["items"] if one not in before["catalog"])
    assert isinstance(stock, int)
    assert stock <= 0
    [first] = connection.execute(
        "select entry_id, item_id, item_sku, qty_change, credit_change, customer_id, created_at "
        "from core.shop_items_ledger where qty_change < 0 order by 1 limit 1"
    ).fetchall()
    unchanged = ",".join(map(str, first))
    (shop.root / "shop" / "items_ledger_2.csv").write_text(
        LEDGER + unchanged + f"\n900001,{item_id},X,{5 - stock},-50,0,2025-12-01T00:00:00Z\n"
    )
    [load] = shop.load("shop.items_ledger").loads
    dbt.succeed("run", *SHOP)
    after = balances(connection)
    assert dict(after["items"]) == stocks | {item_id: 5}
    assert dict(after["catalog"]) == dict(before["catalog"]) | {item_id: 5}
    assert (after["mods"], after["roles"]) == (before["mods"], before["roles"])
    items_credit, mods_credit, credit = before["credit"][0]
    assert after["credit"] == [(items_credit - 50, mods_credit, credit - 50)]  # type: ignore[operator]
    written = connection.execute("select entry_id from core.shop_items_ledger where _load_id = %s", [load.load_id])
    assert written.fetchall() == [(900001,)]

    dbt.succeed("run", *SHOP, "--full-refresh")
    assert balances(connection) == after


def test_the_build_passes_and_a_balance_that_is_off_fails_it(
    dbt: Dbt, shop: Bronze, connection: psycopg.Connection
) -> None:
    dbt.succeed("build", *SHOP, "--exclude", "resource_type:unit_test")
    for table, change in BREAKAGES.items():
        connection.execute(f"create table kept as select * from {table}")
        assert connection.execute(change.format(table=table)).rowcount > 0
        assert dbt.run("test", "--select", "shop_marts_balance").returncode == 1, table
        connection.execute(f"truncate {table}; insert into {table} select * from kept; drop table kept")
    dbt.succeed("test", "--select", "shop_marts_balance")
    connection.execute("update core.shop_items_plan set mod_id = 2 where sku = 'SWORD_FIRE'")
    assert dbt.run("test", "--select", "shop_items_carry_compatible_mods").returncode == 1
    connection.execute("delete from core.shop_customers where customer_id = 1")
    assert dbt.run("test", "--select", "test_name:has_the_records_landed,shop_customers").returncode == 1
