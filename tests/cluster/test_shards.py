"""Rows go from worker to worker: pushed down to the shards or repartitioned, by plans and by what Citus logs."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from loaders.cluster import LocalCluster
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import ENTRIES, MEMBERS, PROSPECTS, SALES, Feed
from tests.project.persons import PLACES

COORDINATOR = "Collecting INSERT ... SELECT results on coordinator"
REPARTITIONED = "performing repartitioned INSERT ... SELECT"
# What may be computed apart and sent to every worker: what the ledger says, and the ids of the parents delivered.
LEDGER = r"FROM ops\.|FROM UNNEST\(ARRAY"
PARENTS = r"SELECT (sale|member)_id FROM core\.\w+__dbt_parents"


@pytest.fixture
def said(cluster: LocalCluster, superuser: psycopg.Connection) -> Iterator[Callable[[], str]]:
    """What the coordinator's planner says from now on."""
    superuser.execute("alter role ingot set log_min_messages = debug1")
    log = cluster.coordinator.log
    start = log.stat().st_size

    def read() -> str:
        nonlocal start
        with log.open() as file:
            file.seek(start)
            text = file.read()
            start = file.tell()
        return text

    yield read
    superuser.execute("alter role ingot reset log_min_messages")


def subplans(text: str) -> list[str]:
    """Return the parts of queries that were computed on the coordinator, or sent through it, but for the ledger's."""
    found = re.findall(r"generating subplan \S+ for (?:subquery|CTE \w+:) (.*)", text)
    return [query for query in found if not re.search(LEDGER, query)]


def test_no_row_of_an_increment_passes_through_the_coordinator(
    dbt: Dbt, bronze: Bronze, said: Callable[[], str]
) -> None:
    dice = random.Random(3)
    feeds = [Feed(bronze, entity) for entity in (MEMBERS, SALES, PROSPECTS, ENTRIES)]
    for run in range(1, 3):
        for feed in feeds:
            feed.write(run, 1, [feed.entity.draw(dice) for _ in range(20)])
            feed.write(run, 2, [feed.entity.draw(dice) for _ in range(20)])
        bronze.write_people(f"{run}", dict.fromkeys(range(1, 200), f"Name {run},30,true,{PLACES[0]}"))
        bronze.load_all()
        dbt.succeed("run", "--select", "staging")
        said()
        # The customers are a copy on every node, which the coordinator makes.
        dbt.succeed("run", "--select", "core", "--exclude", "shop_customers")
        text = said()
        assert COORDINATOR not in text
        # The pending rows of nine models with files, and elements by their key once more.
        assert text.count(REPARTITIONED) >= 9
        strangers = [query for query in subplans(text) if not re.match(PARENTS, query)]
        assert strangers == [], "nothing but the ledger and the ids of delivered parents"
        assert bool(re.search(PARENTS, text)) == (run == 2)


@contextmanager
def gathered(connection: psycopg.Connection) -> Iterator[None]:
    """A table of records, as an increment makes it, for as long as its plans are looked at."""
    connection.execute("create table core.records as select * from staging.stg_people__persons with no data")
    connection.execute("select create_distributed_table('core.records', 'person_id')")
    yield
    connection.execute("drop table core.records")


def plan(connection: psycopg.Connection, query: str) -> str:
    return "\n".join(row[0] for row in connection.execute(f"explain (costs off) {query}".encode()))


def test_the_plans_of_an_increment(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection) -> None:
    bronze.write_people("1", {1: f"Ada,30,true,{PLACES[0]}"})
    [load] = bronze.load().loads
    dbt.succeed("run", "--select", "+people")
    view = "select * from staging.stg_people__persons"
    with gathered(connection):
        gather = plan(
            connection,
            f"insert into core.records {view} where _load_id = any('{{{load.load_id}}}') and person_id is not null",
        )
        assert "INSERT/SELECT method: repartition" in gather
        # The literal list leaves one segment of the raw table to read, on each shard.
        assert "people__persons__" in gather
        latest = "select distinct on (person_id) person_id, name from core.records order by person_id, _version desc"
        dedupe = plan(connection, f"insert into core.people (person_id, name) {latest}")
        assert "Citus INSERT ... SELECT" not in dedupe, "pushed down: each shard inserts what it has"
        assert "Unique" in dedupe
        # Why the records are gathered first: over the view itself, the rows would go to the coordinator.
        direct = plan(connection, latest.replace("core.records", "staging.stg_people__persons"))
        assert direct.index("Unique") < direct.index("Custom Scan (Citus Adaptive)")
