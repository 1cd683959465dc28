import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.records import CALL_RECORDS, CASES, Case, Timing, persons, ratio
from loaders.connection import Address, connect
from tests.bench.test_cli import use


def test_persons_are_the_same_for_the_same_seed() -> None:
    assert persons(50, 1) == persons(50, 1) != persons(50, 2)
    assert [person.id for person in persons(50, 1)] == list(range(1, 51))


def test_a_ratio_is_to_copy_with_a_pool_in_calls_of_the_same_size() -> None:
    timings = [
        Timing(Case(use_copy=True, is_pooled=True, tasks=1), 100, (1.0, 9.0, 2.0)),
        Timing(Case(use_copy=False, is_pooled=True, tasks=4), 100, (8.0,)),
        Timing(Case(use_copy=True, is_pooled=True, tasks=1, is_split=True), 10, (1.0,)),
        Timing(Case(use_copy=True, is_pooled=False, tasks=1, is_split=True), 10, (4.0,)),
    ]
    assert timings[0].rate == 50
    assert [ratio(timing, timings) for timing in timings] == [1.0, 0.25, 1.0, 0.25]


def test_the_command_times_every_way_and_leaves_nothing(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    written = tmp_path / "figures.json"
    assert main(["records", "--rows", "1500", "--rounds", "2", "--json", str(written)]) == 0
    shown = capsys.readouterr().out
    assert all(f"{way}, {pool}" in shown for way in ("COPY", "executemany") for pool in ("pool", "no pool"))
    figures = json.loads(written.read_text())
    assert len(figures["cases"]) == len(CASES)
    assert {case["tasks"] for case in figures["cases"]} == {1, 2, 3, 4}
    assert all(len(case["seconds"]) == figures["rounds"] == 2 for case in figures["cases"])
    assert all(case["records"] == 1500 and case["records_per_second"] > 0 for case in figures["cases"])
    assert figures["server"]["version"].startswith("PostgreSQL")
    assert CALL_RECORDS < 1500, "else no case makes several calls"
    with connect(address) as connection:
        assert connection.execute("select to_regnamespace('bench_records')").fetchone() == (None,)


def test_a_server_that_is_down_is_one_line(
    address: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    monkeypatch.setenv("PGPORT", "1")
    assert main(["records", "--rows", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: postgresql://")
