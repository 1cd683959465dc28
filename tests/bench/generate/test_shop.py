import csv
import hashlib
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from bench.cli import main
from bench.errors import ToolError
from bench.generate import shop
from bench.generate.shop import generate_shop
from tests.conftest import REPOSITORY

ROWS = 50_000
FILES = ("customers.csv", "items_ledger.csv", "mods_ledger.csv")
Row = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_shop(tmp_path_factory.mktemp("bronze") / "shop", rows=ROWS, seed=1).path


def rows_of(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def digests(folder: Path) -> list[str]:
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]


@pytest.fixture(scope="module")
def customers(folder: Path) -> list[Row]:
    return rows_of(folder / "customers.csv")


@pytest.fixture(scope="module")
def items_ledger(folder: Path) -> list[Row]:
    return rows_of(folder / "items_ledger.csv")


@pytest.fixture(scope="module")
def mods_ledger(folder: Path) -> list[Row]:
    return rows_of(folder / "mods_ledger.csv")


def test_the_files_are_as_declared(
    customers: list[Row], items_ledger: list[Row], mods_ledger: list[Row], folder: Path
) -> None:
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert list(customers[0]) == ["id", "name", "role", "level"]
    changes = ["qty_change", "credit_change", "customer_id", "created_at"]
    assert list(items_ledger[0]) == ["id", "item_id", "item_sku", *changes]
    assert list(mods_ledger[0]) == ["id", "mod_id", "mod_sku", *changes]
    for rows, count in ((customers, ROWS // 5), (items_ledger, ROWS * 2 // 5), (mods_ledger, ROWS * 2 // 5)):
        assert [row["id"] for row in rows] == [str(number) for number in range(1, count + 1)]


def test_customers_have_names_of_their_own_and_skewed_roles(customers: list[Row]) -> None:
    assert len({customer["name"] for customer in customers}) == len(customers)
    counts = Counter(customer["role"] for customer in customers)
    assert [role for role, _ in counts.most_common()] == ["warrior", "mage", "ranger", "rogue", "healer"]
    assert counts["warrior"] > 6 * counts["healer"]
    levels = sorted(int(customer["level"]) for customer in customers)
    assert (levels[0], levels[len(levels) // 2] < 20, levels[-1] <= 60) == (1, True, True)


def test_the_ledgers_grow_with_time_and_name_what_the_plans_have(
    customers: list[Row], items_ledger: list[Row], mods_ledger: list[Row]
) -> None:
    known = {"0", *(customer["id"] for customer in customers)}
    for ledger, what in ((items_ledger, "item"), (mods_ledger, "mod")):
        plan = {row["id"]: row["sku"] for row in rows_of(REPOSITORY / "seeds" / f"shop_{what}s_plan.csv")}
        traded = {(row[f"{what}_id"], row[f"{what}_sku"]) for row in ledger}
        assert traded == {(key, sku) for key, sku in plan.items() if sku != "BASIC"}
        assert all(earlier["created_at"] < later["created_at"] for earlier, later in pairwise(ledger))
        assert {row["customer_id"] for row in ledger} <= known


def test_the_shop_buys_below_the_price_and_customers_pay_it(items_ledger: list[Row]) -> None:
    prices = {row["id"]: int(row["price"]) for row in rows_of(REPOSITORY / "seeds" / "shop_items_plan.csv")}
    for row in items_ledger:
        bought, paid = int(row["qty_change"]), int(row["credit_change"])
        if row["customer_id"] == "0":
            assert bought > 0
            assert paid * 10 == -bought * prices[row["item_id"]] * 6
        else:
            assert bought < 0
            assert paid == -bought * prices[row["item_id"]]
    purchases = sum(row["customer_id"] == "0" for row in items_ledger)
    assert 0.09 < purchases / len(items_ledger) < 0.11


def test_some_stocks_are_above_zero_and_some_are_not(items_ledger: list[Row], mods_ledger: list[Row]) -> None:
    for ledger, what in ((items_ledger, "item_id"), (mods_ledger, "mod_id")):
        stocks: dict[str, int] = defaultdict(int)
        for row in ledger:
            stocks[row[what]] += int(row["qty_change"])
        assert 0 < sum(stock <= 0 for stock in stocks.values()) < len(stocks) / 2


def test_each_role_buys_its_own_type_most(customers: list[Row], items_ledger: list[Row]) -> None:
    roles = {customer["id"]: customer["role"] for customer in customers}
    types = {row["id"]: row["type"] for row in rows_of(REPOSITORY / "seeds" / "shop_items_plan.csv")}
    bought: dict[str, Counter[str]] = defaultdict(Counter)
    for row in items_ledger:
        if row["customer_id"] != "0":
            bought[roles[row["customer_id"]]][types[row["item_id"]]] += 1
    assert {role: counts.most_common(1)[0][0] for role, counts in bought.items()} == shop.FAVOURITES


def test_the_benchmark_asks_for_customers_who_are_there_whatever_the_seed(tmp_path: Path) -> None:
    declared = yaml.safe_load((REPOSITORY / "analyses" / "_shop.yml").read_text())["analyses"]
    benchmarks: dict[str, Any] = {one["name"]: one["config"]["meta"]["benchmark"] for one in declared}
    name, role = benchmarks["shop_recommendations_ledger"]["parameters"]
    generated = rows_of(generate_shop(tmp_path, rows=500, seed=2).path / "customers.csv")
    known = {customer["name"] for customer in generated}
    assert [value for value in name["values"] if value not in known] == ["Nobody Known"]
    assert set(role["values"]) == set(shop.ROLES)
    item, customer = benchmarks["shop_checkout_ledger"]["parameters"]
    assert (item["min"], item["max"]) == (1, len(rows_of(REPOSITORY / "seeds" / "shop_items_plan.csv")))
    assert (customer["min"], customer["max"]) == (1, 200_000)


def test_same_rows_and_seed_same_bytes_whatever_the_threads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = duckdb.connect
    monkeypatch.setattr(shop.duckdb, "connect", lambda config: connect(config=config | {"threads": 1}))
    again = generate_shop(tmp_path / "it's here", rows=ROWS, seed=1)
    assert digests(again.path) == digests(folder)
    assert (again.rows, again.bytes) == (ROWS, sum((folder / name).stat().st_size for name in FILES))


def test_another_seed_other_entries(folder: Path, tmp_path: Path) -> None:
    other = digests(generate_shop(tmp_path, rows=ROWS, seed=2).path)
    assert not set(other) & set(digests(folder))


@pytest.mark.parametrize(("rows", "counts"), [(0, (0, 0, 0)), (1, (1, 0, 0)), (7, (2, 2, 3))])
def test_few_rows(tmp_path: Path, rows: int, counts: tuple[int, ...]) -> None:
    generate_shop(tmp_path, rows=rows, seed=1)
    assert tuple(len(rows_of(tmp_path / name)) for name in FILES) == counts


def test_a_folder_that_cannot_be_made_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=r"cannot be written.*--to"):
        generate_shop(tmp_path / "file" / "shop", rows=1, seed=1)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "shop", "--rows", "100", "--to", str(tmp_path)]) == 0
    assert f"{tmp_path}: 100 rows" in capsys.readouterr().out
