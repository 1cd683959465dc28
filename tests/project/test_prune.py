"""What dbt builds on pruned raw tables: right where it can be, refused by name where pruned rows are needed."""

import random
import subprocess
import sys

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from loaders.prune import Retention, prune
from loaders.raw_table import RawTable
from tests.conftest import REPOSITORY
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Entity, Feed

PEOPLE = RawTable(schema="staging", name="people__persons")
RECONCILED = "test_name:has_the_records_landed"
NAMES = "select person_id, name from core.people order by 1"


@pytest.fixture
def dbt(dbt: Dbt, parsed: Manifest) -> Dbt:
    dbt.manifest = parsed
    return dbt


@pytest.fixture
def people(dbt: Dbt, bronze: Bronze) -> Bronze:
    """Two loads, applied; the first one is pruned."""
    bronze.write_people("1", {1: "Ann,30,true,Lima,Lima,Peru", 2: "Bob,30,true,Lima,Lima,Peru"})
    bronze.load()
    bronze.write_people("2", {1: "Anna,30,true,Lima,Lima,Peru"})
    bronze.load()
    dbt.succeed("run", "--select", "+people")
    return bronze


def prune_people(connection: psycopg.Connection, keep_loads: int = 1) -> list[int]:
    return prune(connection, PEOPLE, Retention(keep_loads=keep_loads)).load_ids


def restore(bronze: Bronze, source: str, *options: str) -> None:
    environment = bronze.address.environment | {"BRONZE_ROOT": str(bronze.root), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [sys.executable, "-m", "loaders", "load", "--restore", source, *options],
        cwd=REPOSITORY, env=environment, check=True, capture_output=True,
    )  # fmt: skip


def test_increments_go_on_and_what_needs_pruned_rows_is_refused(
    dbt: Dbt, people: Bronze, connection: psycopg.Connection
) -> None:
    assert prune_people(connection) == [1]
    people.write_people("3", {2: "Bobby,30,true,Lima,Lima,Peru", 3: "Cid,30,true,Lima,Lima,Peru"})
    people.load()
    dbt.succeed("run", "--select", "people")
    expected = [(1, "Anna"), (2, "Bobby"), (3, "Cid")]
    assert connection.execute(NAMES).fetchall() == expected
    # A record whose raw row is gone has its row; one whose row is there must have it.
    dbt.succeed("test", "--select", f"people,{RECONCILED}")
    connection.execute("delete from core.people where person_id = 3")
    assert dbt.run("test", "--select", f"people,{RECONCILED}").returncode == 1

    refused = (
        "needs rows of staging.people__persons that were pruned (2 records, of loads: 1), since it reads all of them. It "
        "stays as it was: run `python -m loaders load --restore people.persons`"
    )
    done = dbt.run("run", "--select", "people", "--full-refresh")
    assert (done.returncode, refused in done.stdout) == (1, True), done.stdout
    assert connection.execute(NAMES).fetchall() == expected[:2], "nothing has changed"
    # A model that is new, and one of a schema that prune was told to ignore.
    connection.execute("alter table core.people rename to kept")
    assert refused in dbt.run("run", "--select", "people").stdout
    connection.execute("alter table core.kept rename to people")
    connection.execute("delete from ops.applied_loads where load_id = 1")
    assert "since it has not applied all of them" in dbt.run("run", "--select", "people").stdout

    restore(people, "people.persons")
    dbt.succeed("run", "--select", "people", "--full-refresh")
    assert connection.execute(NAMES).fetchall() == expected
    dbt.succeed("test", "--select", f"people,{RECONCILED}")
    assert prune_people(connection) == [2, 4], "the restored load is the oldest still"


def test_a_load_is_pruned_while_a_builder_reads_it(dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    """The builder's check at its commit finds it gone."""
    with psycopg.connect(people.address.conninfo) as blocker:
        # A full refresh has read its loads, and waits for the marks.
        blocker.execute("lock table core.people in access share mode")
        with dbt.running("run", "--select", "people", "--full-refresh") as run:
            built = "select from pg_class where relname = 'people__dbt_tmp'"
            while connection.execute(built).fetchone() is None:
                assert not run.done()
            assert prune_people(connection) == [1]
            blocker.rollback()
            done = run.result()
    assert done.returncode == 1
    assert "has read loads of staging.people__persons that are not complete any more (1 pruned)" in done.stdout
    assert connection.execute(NAMES).fetchall() == [(1, "Anna"), (2, "Bob")]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_any_sequence_of_loads_builds_and_prunes_gives_what_the_rules_give(
    dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, seed: int
) -> None:
    """Runs land mostly in order; one that is late for what was pruned is refused, and healed by what dbt names."""
    dice, entity, feed = random.Random(seed), MEMBERS, Feed(bronze, MEMBERS)
    bronze.load()
    dbt.succeed("run", "--select", *entity.views)
    runs = list(range(1, 8))
    runs.insert(4, runs.pop(dice.randrange(1, 4)))
    refusals = 0
    for run in runs:
        feed.write(run, 1, [entity.draw(dice) for _ in range(8)])
        feed.load()
        done = dbt.run("run", "--select", *entity.tables)
        if done.returncode:
            command = f"load --restore evo.members --since 202601{run:02}T030000Z`"
            assert f"run_id=202601{run:02}T030000Z/part-00001.jsonl.gz is older than what was pruned" in done.stdout
            assert command in done.stdout
            refusals += 1
            restore(bronze, "evo.members", "--since", f"202601{run:02}T030000Z")
            build(dbt, entity)
        assert entity.core(connection) == feed.expected()
        prune(connection, RawTable(schema="staging", name="evo__members"), Retention(keep_loads=dice.randrange(2)))
    assert refusals == 1
    restore(bronze, "evo.members")
    build(dbt, entity, "--full-refresh")
    assert entity.core(connection) == feed.expected()


def build(dbt: Dbt, entity: Entity, *options: str) -> None:
    dbt.succeed("run", "--select", *entity.tables, *options)
