import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.records import CALL_RECORDS, persons
from loaders.connection import Address, connect
from tests.bench.support import use


def test_persons_are_the_same_for_the_same_seed() -> None:
    assert persons(50, 1) == persons(50, 1) != persons(50, 2)
    assert [person.id for person in persons(50, 1)] == list(range(1, 51))


def test_the_command_times_every_method_and_leaves_nothing(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    written = tmp_path / "figures.json"
    assert main(["records", "--rows", "1500", "--rounds", "2", "--json", str(written)]) == 0
    shown = capsys.readouterr().out
    assert all(
        f"{method}, {pool}, 1 task" in shown for method in ("COPY", "executemany") for pool in ("pool", "no pool")
    )
    figures = json.loads(written.read_text())
    one_call, small_calls = (comparison["timings"] for comparison in figures["comparisons"])
    assert (len(one_call), len(small_calls)) == (12, 4)
    assert {one["title"].split(", ")[2] for one in one_call} == {"1 task", "2 tasks", "3 tasks", "4 tasks"}
    assert all(len(one["seconds"]) == figures["rounds"] == 2 for one in (*one_call, *small_calls))
    assert all(one["count"] == 1500 and one["ratio"]["median"] > 0 for one in (*one_call, *small_calls))
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
