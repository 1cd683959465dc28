"""The file that the target duckdb builds, asked beside PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest
import uvloop

from bench.errors import AnswersDiffer
from bench.queries.answers import check_engines
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.duckdb_driver import in_duckdb
from bench.queries.measure import check_errors, measure
from bench.queries.run import Run
from loaders.connection import Address
from loaders.errors import ServerError


@pytest.fixture
def run(address: Address, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """How to ask DuckDB, where both engines have a table of ages."""
    path = tmp_path / "ages.duckdb"
    monkeypatch.setenv("DUCKDB_PATH", str(path))
    rows = "select n as age, 100 - n as older from generate_series(0, 50) as series (n)"
    created = f"create schema marts; create table marts.ages as {rows}"
    connection.execute(created.encode())
    with duckdb.connect(path) as file:
        file.execute(created)
    return Run(address=address, driver="duckdb", connections=2, seconds=30, seed=1, processes=1)


def older(run: Run) -> Benchmark:
    sql = f'select older::integer from "{run.address.database}"."marts"."ages" where age = $1'
    return Benchmark("older", "older", "mart", sql, (Parameter("age", "integer", range(51)),))


def test_answers_are_compared_and_the_file_is_measured(run: Run) -> None:
    benchmark = older(run)
    assert uvloop.run(check_engines([benchmark], run)) == 51
    [row] = measure(in_duckdb(benchmark, run.address), [20], run)
    assert (row.query, row.n, row.errors) == ("older (DuckDB)", 20, 0)
    check_errors([row])


def test_other_answers_are_told(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("update marts.ages set older = 0 where age = 7")
    with pytest.raises(AnswersDiffer, match=r"With age = 7, older answers 0 in PostgreSQL and 93 in DuckDB"):
        uvloop.run(check_engines([older(run)], run))


def test_a_file_that_is_not_there_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "none.duckdb"))
    with pytest.raises(ServerError, match="dbt build --target duckdb"):
        uvloop.run(check_engines([older(replace(run))], run))
