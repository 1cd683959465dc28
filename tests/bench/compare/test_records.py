import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare import records
from bench.compare.records import draw_persons
from loaders.connection import Address, connect
from tests.bench.support import use


def test_persons_are_the_same_for_the_same_seed() -> None:
    assert list(draw_persons(50, 1)) == list(draw_persons(50, 1)) != list(draw_persons(50, 2))
    assert [person.id for person in draw_persons(50, 1)] == list(range(1, 51))


def test_the_command_times_every_method_and_leaves_nothing(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    monkeypatch.setattr(records, "FEWER", 1200)
    written = tmp_path / "figures.json"
    assert main(["records", "--rows", "1500", "--rounds", "1", "--json", str(written)]) == 0
    shown = capsys.readouterr().out
    assert "COPY and a temporary table" in shown
    figures = json.loads(written.read_text())
    timings = {one["name"]: one["timings"] for one in figures["comparisons"]}
    assert {name: len(some) for name, some in timings.items()} == {
        "one call": 6, "small calls": 4, "by hand": 5, "upsert": 5, "memory": 2,
    }  # fmt: skip
    assert all(len(one["seconds"]) == 1 and one["ratio"]["median"] > 0 for some in timings.values() for one in some)
    assert {name: some[0]["count"] for name, some in timings.items()} == {
        "one call": 1500, "small calls": 1200, "by hand": 1200, "upsert": 1200, "memory": 1500,
    }  # fmt: skip
    assert all(10e6 < one["peak_bytes"] < 500e6 for one in timings["memory"])
    with connect(address) as connection:
        assert connection.execute("select to_regnamespace('bench_records')").fetchone() == (None,)


def test_a_server_that_is_down_is_one_line(
    address: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    monkeypatch.setenv("PGPORT", "1")
    assert main(["records", "--rows", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: postgresql://")
