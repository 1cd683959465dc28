"""The tables of docs/benchmarks.md are those of the results in docs/results."""

from dataclasses import replace
from pathlib import Path

from bench.compare.figures import AT_LENGTH, PUBLISHED, STEPS
from bench.comparison import Comparison, Comparisons, Run, Spread, Variant, measure_comparison
from bench.environment import Server
from bench.page.markdown import BLOCK, DOCUMENT, with_tables, write_tables
from bench.queries.pgbench import ClientRun, PgbenchComparison
from bench.queries.report import figures
from bench.queries.rows import Round, Row
from bench.queries.run import Run as QueryRun
from bench.results import keep
from loaders.connection import Address
from tests.bench.support import CIRCUMSTANCES, REPOSITORY

HERE = replace(CIRCUMSTANCES, server=Server("PostgreSQL 18.6 on x", {"wal_level": "minimal"}), load_average=0.25)


def comparison() -> Comparison:
    base = Variant(name="psql", title="a | b", count=10, measure=lambda turn: Run(seconds=2.0 + turn))
    ours = Variant(name="ours", title="loader", count=10, measure=lambda turn: Run(seconds=1.0, peak_bytes=2**20))
    return measure_comparison("csv", "a file", "rows", [base, ours], 3, lambda _: None)


def test_the_document_has_the_tables_of_the_results() -> None:
    text = (REPOSITORY / DOCUMENT).read_text()
    assert with_tables(text, REPOSITORY / PUBLISHED) == text, "run `python -m bench report --docs`"


def test_every_step_has_a_table_and_every_table_a_step() -> None:
    assert BLOCK.findall((REPOSITORY / DOCUMENT).read_text()) != []
    named = [found[1] for found in BLOCK.finditer((REPOSITORY / DOCUMENT).read_text())]
    assert sorted(named) == sorted(step.name for step in (*STEPS, AT_LENGTH))


def test_a_table_of_compared_variants(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- table load-csv -->\nold | words\n<!-- end -->\nafter\n")
    keep("load", Comparisons(rounds=3, comparisons=(comparison(),)), HERE, tmp_path / "load-csv.json")
    write_tables(document, tmp_path)
    lines = document.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "2026-01-01 00:00 UTC, revision abc, PostgreSQL 18.6, wal_level minimal, load average before 0.2." in lines
    assert lines[-7:-2] == [
        "",
        "| a file | s | time to a \\| b | rows/s | peak MiB |",
        "| --- | --- | --- | --- | --- |",
        "| a \\| b | 3.00 (2.00 to 4.00) | 1.00 | 3.33 | - |",
        "| loader | 1.00 (1.00 to 1.00) | 0.33 (0.25 to 0.50) | 10.0 | 1 |",
    ]


def test_a_table_of_queries_has_medians_and_ranges(tmp_path: Path) -> None:
    rounds = tuple(
        Round(done=100, seconds=1, qps=qps, mean_ms=1, max_ms=9, percentiles={"50": 1 / qps}) for qps in (10, 30, 20)
    )
    row = Row(query="lookup", question="q", layer="mart", n=None, rounds=rounds)
    runs = (ClientRun(10, 1, 5), ClientRun(20, 1, 5))
    beside = PgbenchComparison("lookup", runs, runs, Spread(1, 1, 1))
    run = QueryRun(address=Address(), driver="asyncpg", connections=8, seconds=1, seed=1)
    keep("queries", figures([row], run, [beside]), HERE, tmp_path / "queries.json")
    text = with_tables("<!-- table queries -->\n<!-- end -->", tmp_path)
    assert "| lookup | 20.0 (10.0 to 30.0) | 0.05 (0.033 to 0.10) | - | - | 9.00 | 300 |" in text
    assert "| lookup | 10.0, 20.0 | 10.0, 20.0 | 1.00 | 5.0 / 5.0 |" in text


def test_what_is_not_measured_says_what_does_it(tmp_path: Path) -> None:
    text = with_tables("<!-- table shop -->\n<!-- end -->", tmp_path)
    assert text == "<!-- table shop -->\nNot measured yet: `python -m bench figures shop` does it.\n<!-- end -->"
