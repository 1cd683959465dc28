"""What tests of bench/ share: three small layers and their benchmarks, an environment, a count of sessions."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench.environment import Circumstances, Machine, Server
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.drivers import DRIVERS
from loaders.connection import Address

REPOSITORY = Path(__file__).parents[2]
SQL = {
    "staging": "select count(*) as older_count from raw_people where age::int > $1",
    "core": "select count(*) as older_count from people where age > $1",
    "mart": "select older_count from people_older_than where age = $1 -- a lookup",
}
TABLES = """
    create table raw_people as select i::text as id, (22 + i * 7 % 44)::text as age from generate_series(1, 2000) as i;
    create table people as select id::bigint, age::integer from raw_people;
    create table people_older_than as
        select age, (select count(*) from people where people.age > ages.age) as older_count
        from generate_series(0, 150) as ages (age);
    create unique index on people_older_than (age);
"""
AGE = Parameter("age", "integer", range(22, 66))
LAYERS = [Benchmark(f"older_{layer}", "older", layer, text, (AGE,)) for layer, text in SQL.items()]
CORE, MART = LAYERS[1:]
CIRCUMSTANCES = Circumstances("2026-01-01T00:00:00+00:00", "abc", Machine("a", 2, 2**34, "b", "3"), Server("c", {}))


def asking(sql: str) -> Benchmark:
    """The mart's benchmark with another SQL."""
    return replace(MART, name="asking", sql=sql)


def use(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find this address."""
    for name, value in address.environment.items():
        monkeypatch.setenv(name, value)


def sessions(connection: psycopg.Connection, application_name: str) -> int:
    """Count the sessions of an application in this database."""
    count = "select count(*) from pg_stat_activity where application_name = %s and datname = current_database()"
    return int(connection.execute(count, [application_name]).fetchone()[0])  # type: ignore[index]


# The driver duckdb asks a file.
SERVER_DRIVERS = sorted(DRIVERS.keys() - {"duckdb"})
