"""The transform benchmark on small data: every variant measured, the figures consistent, nothing left behind."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from loaders.connection import Address, connect
from tests.bench.support import use

VARIANTS = {
    "full refresh": ["stock full refresh", "swap"],
    "full refresh, contract": ["stock full refresh, contract", "swap, contract", "in place, contract"],
    "increments, 5 % changed": ["stock delete+insert", "stock merge", "upsert", "upsert, nothing new"],
}


@pytest.mark.filterwarnings("ignore")  # dbt's own dependencies
def test_transform_measures_every_variant(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    written = tmp_path / "figures.json"
    assert main(f"transform --rows 2000 --increments 2 --changed 5 --rounds 1 --json {written}".split()) == 0
    shown = capsys.readouterr().out
    figures = json.loads(written.read_text())
    timings = {one["name"]: one["timings"] for one in figures["comparisons"]}
    assert {name: [one["title"] for one in some] for name, some in timings.items()} == VARIANTS
    assert all(title in shown for titles in VARIANTS.values() for title in titles)
    assert [{len(one["seconds"]) for one in some} for some in timings.values()] == [{1}, {1}, {2}]
    deleting, _, upsert, nothing_new = timings["increments, 5 % changed"]
    # Two deliveries of 200 members: delete+insert writes all again, upsert the one in twenty that changed.
    assert 200 <= deleting["dead_rows"] <= 400
    assert 0 < upsert["dead_rows"] <= 20
    # So few rows say nothing about WAL: the pages that a checkpoint has since seen are written whole.
    assert all(one["wal_bytes"] > 0 for one in (deleting, upsert))
    assert (upsert["count"], nothing_new["count"]) == (200, 0)
    assert figures["server"]["version"].startswith("PostgreSQL")
    with connect(address) as connection:
        left = connection.execute("select count(*) from pg_database where datname like 'ingot_transform%'").fetchone()
    assert left == (0,)
