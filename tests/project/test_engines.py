"""PostgreSQL and DuckDB build the same rows: of everything, at once and by increments, in any order of delivery."""

from pathlib import Path

import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.generate.gym import generate_gym
from bench.generate.people import generate_people
from bench.generate.shop import generate_shop
from loaders.connection import Address, connect
from tests.project.conftest import Bronze, Dbt
from tests.project.deliveries import SIZES, Size, check_engines
from tests.project.engines import DuckDB, Engine, PostgreSQL, tables
from tests.project.own_project import copy_project


@pytest.mark.parametrize("size", SIZES)
def test_every_engine_builds_the_same_rows(
    size: Size, dbt: Dbt, parsed: Manifest, bronze: Bronze, tmp_path: Path
) -> None:
    dbt.manifest = parsed
    engines: dict[str, Engine] = {
        "PostgreSQL": PostgreSQL(dbt, bronze),
        "DuckDB": DuckDB(tmp_path, bronze.root),
    }
    check_engines(engines, size, tmp_path / "store", bronze, tables(parsed))


@pytest.mark.slow
@pytest.mark.parametrize("delivers", ["changes", "partitions", "full"])
def test_a_delivery_means_the_same_to_a_declared_source(address: Address, tmp_path: Path, delivers: str) -> None:
    """Also of columns that a source's YAML casts, in a project without the samples."""
    own = copy_project(tmp_path / "own", address, samples=False)
    first = own.write("store/run_id=2/1.csv", "item_id,price,sold\n1,10,2026-01-11\n2,20.5,\n3,30,2026-02-11\n")
    own.succeed("declare", first, "--name", "store.items", "--key", "item_id", "--path", "store/**/*.csv")
    declaration = own.folder / "models" / "staging" / "store" / "_store__sources.yml"
    text = declaration.read_text()
    declaration.write_text(text.replace("path: store", f"delivers: {delivers}\n              path: store", 1))
    duck = DuckDB(tmp_path, own.folder / "data" / "bronze", own.folder)
    rows = "select item_id, price, sold from core.store_items order by item_id"
    changes = [
        (),
        ("store/run_id=3/1.csv", "item_id,price,sold\n3,33,2026-03-11\n4,40,\n"),
        ("store/run_id=1/1.csv", "item_id,price,sold\n3,3,\n9,90,2026-01-01\n"),
        ("store/run_id=3/1.csv", "item_id,price,sold\n4,44,2026-03-12\n"),
    ]
    for change in changes:
        if change:
            own.write(*change)
        own.succeed("load", "store.items")
        own.dbt.succeed("build")
        duck.build("build")
        with connect(address) as connection:
            assert duck.query(rows) == connection.execute(rows.encode()).fetchall(), change


def test_all_tests_and_unit_tests_pass_without_a_server(bronze: Bronze, tmp_path: Path) -> None:
    generate_people(bronze.root / "people", rows=5000, seed=1)
    generate_gym(bronze.root / "evo", scale=0.0002, runs=2, seed=1)
    generate_shop(bronze.root / "shop", rows=5000, seed=1)
    engine = DuckDB(tmp_path, bronze.root)
    engine.build("build")
    engine.build("build")
    engine.build("source", "freshness")
    assert engine.query("select count(*) from ops.loads where status = 'complete'") == [(8,)]
