"""Invariants 4 to 6: each load applied once, in any order the same rows, unchanged rows not written."""

import random

import psycopg
import pytest

from tests.project.conftest import Bronze, Dbt
from tests.project.loads import complete, complete_in_any_order
from tests.project.persons import CORE, PLACES
from tests.waiting import wait_for_statistics

Person = tuple[int, str, int | None, bool | None, str, str, str]
PEOPLE = ["--select", "source:people+"]


def some_people(dice: random.Random, size: int) -> dict[int, str]:
    return {
        dice.randrange(1, 300): f"Name {dice.randrange(3)},{dice.randrange(22, 24)},true,{dice.choice(PLACES)}"
        for _ in range(size)
    }


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_any_order_of_completion_gives_what_a_full_refresh_gives(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, seed: int
) -> None:
    dice = random.Random(seed)
    versions: dict[int, str] = {}
    loads = []
    for number in range(6):
        persons = some_people(dice, 60)
        if number % 3 == 2:
            persons |= dict(list(versions.items())[:20])  # delivered again, unchanged
        versions |= persons
        bronze.write_people(f"{number}", persons)
        loads += [result.load_id for result in bronze.load().loads]
    for _ in complete_in_any_order(connection, loads, dice):
        dbt.succeed("run", "--select", "+people")
    by_increments = connection.execute(CORE).fetchall()
    applied = connection.execute("select load_id from ops.applied_loads where model = 'core.people' order by 1")
    assert [row[0] for row in applied] == loads

    dbt.succeed("run", "--select", "people", "--full-refresh")
    assert connection.execute(CORE).fetchall() == by_increments
    expected = {key: rest.split(",")[0] for key, rest in versions.items()}
    assert {row[0]: row[1] for row in by_increments} == expected


def test_unchanged_rows_are_not_written(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    people = dict.fromkeys(range(1, 1001), f"Name,30,true,{PLACES[0]}")
    bronze.write_people("1", people)
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    physical = "select person_id, ctid, xmin::text from core.people order by person_id"
    before = connection.execute(physical).fetchall()

    dbt.succeed("run", *PEOPLE)
    assert connection.execute(physical).fetchall() == before, "nothing is new"

    bronze.write_people("2", people | {7: f"Other,30,true,{PLACES[0]}", 1001: f"New,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    after = connection.execute(physical).fetchall()
    written = {row[0] for row in set(after) - set(before)}
    assert written == {7, 1001}
    kept = connection.execute(
        "select person_id, _inserted_at = _updated_at from core.people where person_id in (7, 8, 1001) order by 1"
    ).fetchall()
    assert kept == [(7, False), (8, True), (1001, True)]
    # A row lock would stand in xmax, and would be a write.
    assert connection.execute("select count(*) from core.people where xmax <> 0 and person_id <> 7").fetchone() == (0,)


def test_a_failed_run_applies_nothing(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    bronze.write_people("1", {1: f"Name,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", "--select", "+people")
    bronze.write_people("2", {1: f"Later,30,true,{PLACES[0]}"})
    bronze.load()
    connection.execute("alter table core.people add constraint refused check (name <> 'Later')")
    assert dbt.run("run", "--select", "people").returncode == 1
    assert connection.execute("select load_id from ops.applied_loads").fetchall() == [(1,)]
    connection.execute("alter table core.people drop constraint refused")
    dbt.succeed("run", "--select", "+people")
    assert connection.execute("select name from core.people").fetchall() == [("Later",)]


def test_an_empty_run_loses_nothing(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    bronze.write_people("1", {1: f"Name,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE, "--empty")
    dbt.succeed("run", *PEOPLE)
    assert connection.execute("select name from core.people").fetchall() == [("Name",)]


def test_a_load_that_is_not_complete_is_not_seen(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    bronze.write_people("1", {1: f"Name,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    bronze.write_people("2", {2: f"Name,30,true,{PLACES[0]}"})
    [load] = bronze.load().loads
    complete(connection, load.load_id, is_complete=False)
    assert connection.execute("select count(*) from staging.stg_people__persons").fetchone() == (1,)
    dbt.succeed("run", *PEOPLE)
    assert connection.execute("select count(*) from core.people").fetchone() == (1,)


def test_values_that_do_not_cast_are_counted_and_stop_nothing(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection
) -> None:
    bronze.write_people(
        "1",
        {
            1: f"Good,30,true,{PLACES[0]}",
            2: f"Bad age,thirty,true,{PLACES[0]}",
            3: f"Bad flag,30,perhaps,{PLACES[0]}",
            4: f"No age,,,{PLACES[0]}",
        },
    )
    bronze.load()
    done = dbt.run("build", *PEOPLE, "--exclude", "resource_type:unit_test")
    assert done.returncode == 0, done.stdout
    assert "WARN=2 " in done.stdout, done.stdout
    rows = connection.execute("select age, is_married from core.people order by person_id").fetchall()
    assert rows == [(30, True), (None, True), (30, None), (None, None)]


def test_no_ledger_is_one_error_with_its_remedy(dbt: Dbt) -> None:
    done = dbt.run("run")
    assert done.returncode != 0
    assert "python -m loaders load" in done.stdout


def test_a_no_op_run_costs_little(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    """The increment reads no raw row when nothing is pending: the predicate is a literal false."""
    bronze.write_people("1", {1: f"Name,30,true,{PLACES[0]}"})
    bronze.load()
    dbt.succeed("run", *PEOPLE)
    scans = (
        "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) from pg_stat_all_tables "
        "where relname = 'people__persons'"
    )
    wait_for_statistics(connection)
    before = connection.execute(scans).fetchone()
    dbt.succeed("run", "--select", "+people")
    wait_for_statistics(connection)
    assert connection.execute(scans).fetchone() == before
