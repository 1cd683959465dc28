"""Partitions and whole tables: whatever is delivered in whatever order, increments end where a full refresh does."""

import random
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address
from tests.project.own_project import OwnProject, copy_project

CORE = "select item_id, price from core.store_items order by item_id"


@pytest.fixture
def own(tmp_path: Path, address: Address) -> OwnProject:
    return copy_project(tmp_path / "own", address, samples=False)


def declare(own: OwnProject, delivers: str, path: str) -> None:
    """Declare a source of items by its first file, and say what its deliveries mean."""
    file = own.write(path, "item_id,price\n1,10\n2,20\n3,30\n")
    own.succeed("declare", file, "--name", "store.items", "--key", "item_id", "--path", "store/**/*.csv")
    declaration = own.folder / "models" / "staging" / "store" / "_store__sources.yml"
    text = declaration.read_text()
    indent = next(line for line in text.splitlines() if line.strip().startswith("path:")).split("path:")[0]
    declaration.write_text(text.replace(f"{indent}path:", f"{indent}delivers: {delivers}\n{indent}path:", 1))


def deliver(own: OwnProject, path: str, items: dict[int, int]) -> None:
    own.write(path, "item_id,price\n" + "".join(f"{item},{price}\n" for item, price in items.items()))


def test_partitions_that_change_vanish_and_come(own: OwnProject, connection: psycopg.Connection) -> None:
    dice = random.Random(3)
    declare(own, "partitions", "store/0.csv")
    own.succeed("load", "store.items")
    own.dbt.succeed("build")
    parts: dict[int, dict[int, int]] = {0: {1: 10, 2: 20, 3: 30}}
    for _ in range(6):
        number = dice.randrange(3)
        # The items of a part are its own, so that what is expected does not hang on the order of landing.
        parts[number] = {number * 10 + dice.randrange(1, 6): dice.randrange(100) for _ in range(3)}
        deliver(own, f"store/{number}.csv", parts[number])
        if dice.random() < 0.4 and len(parts) > 1:
            gone = dice.choice(sorted(parts))
            del parts[gone]
            (own.folder / "data" / "bronze" / f"store/{gone}.csv").unlink()
        own.succeed("load", "store.items", "--remove-missing")
        own.dbt.succeed("build")
        expected = sorted(item for part in parts.values() for item in part.items())
        assert connection.execute(CORE).fetchall() == expected
        unapplied = (
            "select from ops.loads where status = 'complete' and load_id not in (select load_id from ops.applied_loads)"
        )
        assert connection.execute(unapplied).fetchall() == [], "what took rows away is applied, too"
    own.dbt.succeed("run", "--full-refresh")
    assert connection.execute(CORE).fetchall() == expected


def test_a_whole_table_takes_away_what_it_lacks(own: OwnProject, connection: psycopg.Connection) -> None:
    declare(own, "full", "store/run_id=1/items.csv")
    own.succeed("load", "store.items")
    own.dbt.succeed("build")
    before = connection.execute("select item_id, _inserted_at from core.store_items where item_id = 2").fetchall()
    deliver(own, "store/run_id=3/items.csv", {2: 20, 3: 33, 4: 40})
    own.succeed("load", "store.items")
    own.dbt.succeed("build")
    assert connection.execute(CORE).fetchall() == [(2, 20), (3, 33), (4, 40)]
    kept = connection.execute("select item_id, _inserted_at from core.store_items where item_id = 2").fetchall()
    assert kept == before, "what did not change was not written"
    # A run that lands late is older than what is there.
    deliver(own, "store/run_id=2/items.csv", {9: 90})
    own.succeed("load", "store.items")
    own.dbt.succeed("build")
    assert connection.execute(CORE).fetchall() == [(2, 20), (3, 33), (4, 40)]
    own.dbt.succeed("run", "--full-refresh")
    assert connection.execute(CORE).fetchall() == [(2, 20), (3, 33), (4, 40)]


def test_a_full_refresh_of_raw_rows_takes_what_is_gone_from_bronze_out_of_core(
    own: OwnProject, connection: psycopg.Connection
) -> None:
    declare(own, "changes", "store/1.csv")
    deliver(own, "store/2.csv", {4: 40})
    own.succeed("load", "store.items")
    own.dbt.succeed("build")
    (own.folder / "data" / "bronze" / "store/1.csv").unlink()
    own.succeed("load", "store.items", "--full-refresh")
    own.dbt.run("run")
    assert connection.execute(CORE).fetchall() == [(4, 40)]
