"""What the engines are delivered: people, gym and shop, in any order, some of it spoiled."""

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.generate.gym import generate_gym
from bench.generate.people import generate_people
from bench.generate.shop import generate_shop
from tests.project.conftest import Bronze
from tests.project.engines import Engine, differences
from tests.project.gym_feed import ENTRIES, MEMBERS, PROSPECTS, SALES, Feed

# What values are replaced by, of numbers, flags and moments: spellings that are read, and some that are none.
SPOILED = [
    "007", "+7", "-3", "12.5", "1e3", " 7 ", "", '""', "0x1F", "1_000", "99999999999", "9223372036854775808", "NULL",
    "T", "f", "yes", "maybe", "2026-01-11", "2026-01-11T04:05:06.7890123Z", "2026-01-11 04:05+0200", "2026-02-30",
    "now", "2026-01-11 24:00:00", "2026-01-11 23:59:60", '"a,b"', "é",
]  # fmt: skip

ROWS_ALONE = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]


@dataclass(frozen=True)
class Size:
    """How much is delivered, in how many increments after the first build."""

    people: int
    scale: float
    shop: int
    increments: int


SIZES = [
    pytest.param(Size(people=1000, scale=0.00002, shop=1000, increments=1), id="small"),
    pytest.param(Size(people=100_000, scale=0.001, shop=100_000, increments=10), id="large", marks=pytest.mark.slow),
]


def csv_deliveries(path: Path, count: int, dice: random.Random) -> list[str]:
    """Split a file of CSV in so many; the later ones repeat records of the first, one value of each another."""
    header, *records = path.read_text().splitlines()
    parts = [records[number::count] for number in range(count)]
    for part in parts[1:]:
        for record in dice.sample(parts[0], min(50, len(parts[0]))):
            fields = record.split(",")
            at = dice.randrange(1, len(fields)) if dice.randrange(8) else 0
            fields[at] = dice.choice(SPOILED)
            part.append(",".join(fields))
    return ["\n".join([header, *part]) + "\n" for part in parts]


def deliveries(size: Size, store: Path, bronze: Bronze) -> Iterator[None]:
    """Write one delivery after another into bronze: of the gym, runs in any order, with records that are spoiled."""
    dice, count = random.Random(5), size.increments + 1
    generate_people(store / "people", rows=size.people, seed=1)
    generate_shop(store / "shop", rows=size.shop, seed=1)
    generate_gym(store / "evo", scale=size.scale, runs=max(count, 2), seed=1)
    split = {path: csv_deliveries(path, count, dice) for path in sorted(store.glob("*/*.csv"))}
    runs = sorted({path.parent.name for path in store.glob("evo/**/*.gz")})
    dice.shuffle(runs)
    feeds = [Feed(bronze, entity) for entity in (MEMBERS, SALES, PROSPECTS, ENTRIES)]
    days = dice.sample(range(1, 28), 2 * count)
    for number in range(count):
        for path, parts in split.items():
            target = bronze.root / path.parent.name / f"{path.stem}-{dice.randrange(10**6)}.csv"
            target.parent.mkdir(exist_ok=True)
            target.write_text(parts[number])
        for run in runs[number::count]:
            for path in store.glob(f"evo/**/{run}/*.gz"):
                target = bronze.root / path.relative_to(store)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        for day in days[2 * number : 2 * number + 2]:
            for feed in feeds:
                feed.write(day, 1, [feed.entity.draw(dice) for _ in range(20)])
        yield


def check_engines(
    engines: Mapping[str, Engine], size: Size, store: Path, bronze: Bronze, compared: Mapping[str, Sequence[str]]
) -> None:
    """Build one delivery after another by each engine, at last all by a full refresh: the rows are equal each time."""
    for _ in deliveries(size, store, bronze):
        for engine in engines.values():
            engine.build("build", *ROWS_ALONE)
        assert differences(engines, compared) == []
    for engine in engines.values():
        engine.build("run", "--full-refresh", "--select", "core")
    assert differences(engines, compared) == []
