"""The transform benchmark on small data: every way measured, the figures consistent, nothing left behind."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.transform import COMPARED_WITH, Cost, Way, ratio
from loaders.connection import Address, connect
from tests.bench.test_cli import use


def way(name: str, *seconds: float) -> Way:
    return Way(name, 10, tuple(Cost(one, 100, one / 10) for one in seconds), 1, 1, 0)


def test_ratios_are_of_medians_to_the_stock_way_of_the_job() -> None:
    ways = [way("stock full refresh", 4, 1, 2), way("relink", 1, 9, 1), way("stock delete+insert", 5), way("upsert", 1)]
    assert [ratio(one, ways) for one in ways] == [None, 0.5, None, 0.2]
    assert ways[0].reader_wait_seconds == 0.4


@pytest.mark.filterwarnings("ignore")  # dbt's own dependencies
def test_transform_measures_every_way(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    written = tmp_path / "figures.json"
    assert main(f"transform --rows 2000 --increments 2 --rounds 1 --json {written}".split()) == 0
    shown = capsys.readouterr().out
    figures = json.loads(written.read_text())
    ways = {one["name"]: one for one in figures["ways"]}
    assert set(COMPARED_WITH) | set(COMPARED_WITH.values()) == set(ways)
    assert all(name in shown for name in ways)
    assert [len(ways[name]["costs"]) for name in ("relink", "upsert")] == [1, 2]
    # Two deliveries of 200 members: delete+insert writes all again, upsert the one in twenty that changed.
    assert ways["stock delete+insert"]["dead_rows"] == 400
    assert 0 < ways["upsert"]["dead_rows"] <= 20
    assert ways["upsert"]["wal_bytes"] < ways["stock delete+insert"]["wal_bytes"]
    assert figures["server"]["version"].startswith("PostgreSQL")
    with connect(address) as connection:
        left = connection.execute("select count(*) from pg_database where datname like 'ingot_transform%'").fetchone()
    assert left == (0,)
