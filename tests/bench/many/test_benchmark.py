"""The benchmark of run_queries: its payloads, its variants."""

import json
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench import QueryResult
from bench.cli import main
from bench.errors import AnswersDiffer, ProjectError
from bench.many.benchmark import check_results
from bench.many.payloads import KINDS, common_words, different_payloads
from loaders.connection import Address
from tests.bench.support import use


@pytest.fixture
def people(address: Address, connection: psycopg.Connection) -> Address:
    connection.execute("create schema core")
    connection.execute("create schema marts")
    connection.execute(
        "create table core.people as select i::bigint as person_id, 'Name ' || i % 300 as name, 22 + i % 44 as age, "
        "i % 3 = 0 as is_married, 'City ' || i % 40 as city, 'State ' || i % 20 as state, 'C ' || i % 10 as country "
        "from generate_series(1, 9000) as i"
    )
    connection.execute("create unique index on core.people (person_id)")
    connection.execute(
        "create table marts.people_older_than as select a as age, a as older_count from generate_series(0, 99) as a"
    )
    connection.execute(
        "create table marts.people_by_place as select country, state, count(*) as person_count "
        "from core.people group by country, state"
    )
    connection.execute("analyze")
    return address


def test_payloads_are_different_and_the_same_again(people: Address, connection: psycopg.Connection) -> None:
    for kind in KINDS:
        payloads = different_payloads(connection, kind, 100, 1)
        assert len({repr(payload) for payload in payloads}) == 100
        assert payloads == different_payloads(connection, kind, 100, 1)
        assert payloads != different_payloads(connection, kind, 100, 2)


def test_payloads_need_a_table_to_ask(connection: psycopg.Connection) -> None:
    with pytest.raises(ProjectError, match=r"core\.people is not there.*dbt build"):
        different_payloads(connection, "bound", 1, 1)


VARIANTS = ["one connection", "a connection a query", "run_queries, 2 threads", "run_queries, 2 processes"]


def test_many_compares_all_variants_and_all_rows(
    people: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(people, monkeypatch)
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "many.json"
    arguments = f"many bound function --count 30 --workers 2 --rounds 1 --parallel 0 --json {written}"
    assert main(arguments.split()) == 0
    assert "All variants returned the same rows." in capsys.readouterr().out
    figures = json.loads(written.read_text())
    bound, function = figures["comparisons"]
    assert [one["title"] for one in bound["timings"]] == [one["title"] for one in function["timings"]] == VARIANTS
    assert [{one["count"] for one in some["timings"]} for some in (bound, function)] == [{30}, {3}]
    assert all(len(one["seconds"]) == 1 and one["ratio"]["median"] > 0 for one in bound["timings"])
    assert people.database not in json.dumps(figures["comparisons"])


def test_scans_are_measured_with_parallel_workers_and_without(
    people: Address, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting in ("min_parallel_table_scan_size = 0", "parallel_setup_cost = 0", "parallel_tuple_cost = 0"):
        connection.execute(f"alter database {people.database} set {setting}".encode())
    connection.execute(f"alter database {people.database} set max_parallel_workers_per_gather = 1".encode())
    use(people, monkeypatch)
    written = tmp_path / "many.json"
    assert main(f"many scans --count 30 --workers 1 --rounds 1 --json {written}".split()) == 0
    comparisons = json.loads(written.read_text())["comparisons"]
    assert [one["title"] for one in comparisons] == [
        "2 different queries (scans), at most 1 parallel workers, in 2 plans",
        "2 different queries (scans), no parallel workers",
    ]
    assert "2 plans have parallel workers, which use several cores" in " ".join(comparisons[0]["sentences"])


def test_other_rows_or_values_are_an_error() -> None:
    one, other = QueryResult(0, [(1,)], ("a",), 1.0), QueryResult(0, [(2,)], ("a",), 1.0)
    check_results("threads", [("select 1", [])], [one], [one])
    for wrong in (other, replace(one, value=1)):
        with pytest.raises(AnswersDiffer, match=r"threads: .*returned other rows"):
            check_results("threads", [("select 1", [])], [wrong], [one])


def test_common_words_are_counted() -> None:
    rows = [("Ada Kim", 1), ("Max O'Kim", 2), ("ada Kim", 3)]
    assert common_words(QueryResult(0, rows, ("name", "age"), 0.0))[:2] == [("kim", 3), ("ada", 2)]
