"""What dbt builds on pruned raw tables: right where it can be, refused by name where pruned rows are needed."""

import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.generate.gym import generate_gym
from loaders.prune import Retention, prune
from loaders.raw_table import RawTable
from loaders.sources import read_sources
from tests.conftest import REPOSITORY
from tests.loaders.oracle import count
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Entity, Feed

PEOPLE = RawTable(schema="staging", name="people__persons")
OPERATIONS = REPOSITORY / "docs" / "operations.md"
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


@dataclass(frozen=True)
class Loads:
    """The loader's command, run as a user does."""

    bronze: Bronze

    def run(self, *arguments: str) -> None:
        environment = self.bronze.address.environment | {"BRONZE_ROOT": str(self.bronze.root), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, "-m", "loaders", "load", *arguments],
            cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def restore(bronze: Bronze, source: str, *options: str) -> None:
    Loads(bronze).run("--restore", source, *options)


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
        "needs rows of staging.people__persons that were pruned (2 records, of loads: 1), since it reads all of them. "
        "It stays as it was: run `python -m loaders load --restore people.persons`"
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


def documented_sql(first_line: str) -> str:
    [block] = re.findall(rf"```sql\n +-- {first_line}\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    return str(block)


def test_a_person_who_is_erased_does_not_come_back(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    """The procedure of docs/operations.md, on a table of which a load is pruned."""
    first = {17: "Ann Old,30,true,Rome,LZ,IT", 18: "Bob,40,true,Bonn,NW,DE"}
    bronze.write_people("1", first)
    bronze.load()
    second = {17: "Ann New,31,true,Rome,LZ,IT", 18: "Bob,41,true,Bonn,NW,DE"}
    path = bronze.write_people("2", second)
    path.write_text(path.read_text() + "17,Ann,in,a,ragged,record,of,too,many,fields\n")
    bronze.load(max_rejects=1)
    dbt.succeed("run", "--select", "source:people+")
    prune_people(connection)

    assert connection.execute(documented_sql("The files that hold the person.").encode()).fetchall() == [
        ("people/2.csv",)
    ]
    for name, persons in (("1", first), ("2", second)):
        persons.pop(17)
        bronze.write_people(name, persons)
    loads = Loads(bronze)
    loads.run("people.persons", "--rewritten")
    connection.execute(documented_sql("What was refused of the files.").encode())
    # The files of the pruned load were all written anew: there is nothing to restore.
    loads.run("people.persons", "--restore")
    dbt.succeed("run", "--select", "source:people+")

    def check() -> None:
        for table, column in (("staging.people__persons", "id::bigint"), ("core.people", "person_id")):
            rows = connection.execute(f"select {column}, name, age::integer from {table} order by 1, 3".encode())
            assert rows.fetchall() == [(18, "Bob", 40), (18, "Bob", 41)][table == "core.people" :]
        assert connection.execute("select from ops.rejected_rows").fetchall() == []
        older = connection.execute("select older_count from marts.people_older_than where age = 22").fetchall()
        assert older == [(1,)]

    check()
    loads.run("people.persons")
    dbt.succeed("run", "--select", "source:people+", "--full-refresh")
    check()
    loads.run("people.persons", "--full-refresh")
    dbt.succeed("run", "--select", "source:people+", "--full-refresh")
    check()


CONTENT = """
    select
        count(*),
        sum(hashtextextended((to_jsonb(rows) - '{{_load_id,_inserted_at,_updated_at}}'::text[])::text, 0))
    from core.{} as rows
"""


@pytest.mark.parametrize(
    ("scale", "days", "entities"),
    [
        (0.0002, 4, ("members", "entries")),
        pytest.param(0.01, 10, ("members", "sales", "entries", "prospects"), marks=pytest.mark.slow),
    ],
)
def test_days_of_loads_builds_and_prunes(
    dbt: Dbt,
    bronze: Bronze,
    connection: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scale: float,
    days: int,
    entities: tuple[str, ...],
) -> None:
    """The raw tables stay as large as on the third day, and core is what all of bronze says."""
    if scale < 0.01:
        monkeypatch.setattr("loaders.prune.SEGMENT_BYTES", 2**16)
    generate_gym(tmp_path / "feed", scale=scale, runs=days, seed=1, entities=entities)
    sources = [source for source in read_sources(REPOSITORY) if source.source == "evo" and source.table in entities]
    models = [f"source:{source.name}+,path:models/core" for source in sources]
    views = [f"source:{source.name}+,path:models/staging" for source in sources]
    sizes: list[int] = []
    records: list[int] = []
    for day in sorted({path.name for path in (tmp_path / "feed").glob("*/ingestion_date=*")}):
        for folder in (tmp_path / "feed").glob(f"*/{day}"):
            target = bronze.root / "evo" / folder.parent.name / day
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        # Each worker extends a table by many pages at once: a part of a day, where that is a megabyte.
        bronze.load_all(workers=1 if scale < 0.01 else 2)
        dbt.succeed("run", "--select", *models, *([] if sizes else views))
        done = [prune(connection, source.raw_table, Retention(keep_loads=1)) for source in sources]
        kept = "select sum(records) from ops.loads where status = 'complete' and table_name ~ '^evo__'"
        records.append(count(connection, kept))
        sizes.append(sum(table.bytes_after for table in done))
    print(f"\nraw tables after each day's prune, MB: {[round(size / 1e6, 2) for size in sizes]}")
    # Days are not of one size: what stays is.
    bytes_a_record = [size / kept for size, kept in zip(sizes, records, strict=True)]
    print(f"bytes a record that stays: {[round(each) for each in bytes_a_record]}")
    tolerance = 1.1 if scale >= 0.01 else 1.3
    assert max(bytes_a_record[2:]) <= tolerance * min(bytes_a_record[2:])
    assert len(sizes) == days
    assert max(sizes[2:]) < 0.5 * sizes[0]

    tables = "select relname from pg_class where relnamespace = 'core'::regnamespace and relkind = 'r' order by 1"
    names = [name for (name,) in connection.execute(tables)]

    def core() -> list[tuple[object, ...]]:
        return [row for name in names for row in connection.execute(CONTENT.format(name).encode())]

    built = core()
    assert all(row[0] for row in built)
    for source in sources:
        restore(bronze, source.name)
    dbt.succeed("run", "--full-refresh", "--select", *models)
    assert core() == built
