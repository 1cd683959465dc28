import gzip
import hashlib
import json
import signal
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench.cli import main
from bench.errors import ToolError
from bench.generate import gym
from bench.generate.gym import generate_gym, generate_gym_day
from tests.bench.support import REPOSITORY
from tests.waiting import wait_until

SCALE = 0.0002
Record = dict[str, Any]


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_gym(tmp_path_factory.mktemp("bronze") / "evo", scale=SCALE, runs=3, seed=1).path


def parts(feed: Path, entity: str) -> dict[str, list[Record]]:
    """Return the records of each part, by the part's path below the entity's folder, in the order of versions."""
    folder = feed / f"entity={entity}"
    return {
        path.relative_to(folder).as_posix(): [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]
        for path in sorted(folder.rglob("*.jsonl.gz"))
    }


def records(feed: Path, entity: str) -> list[Record]:
    return [record for part in parts(feed, entity).values() for record in part]


def digests(feed: Path) -> dict[str, str]:
    return {
        path.relative_to(feed).as_posix(): hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        for path in feed.rglob("*.jsonl.gz")
    }


def test_the_layout_is_hive_partitioned_by_run(feed: Path) -> None:
    assert list(parts(feed, "members")) == [
        f"ingestion_date=2026-01-{day}/run_id=202601{day}T030000Z/part-0000{part}.jsonl.gz"
        for day in (11, 12, 13)
        for part in (1, 2)
    ]
    assert {folder.name for folder in feed.iterdir()} == {
        f"entity={name}" for name in ("members", "sales", "entries", "prospects")
    }


@pytest.mark.parametrize(
    ("entity", "key", "count"),
    [("members", "idMember", 480), ("sales", "idSale", 2560), ("prospects", "idProspect", 960)],
)
def test_each_entity_has_the_distinct_records_of_the_scale(feed: Path, entity: str, key: str, count: int) -> None:
    assert {record[key] for record in records(feed, entity)} == set(range(1, count + 1))


def test_members_come_again_the_same_and_changed_in_runs_and_within_one(feed: Path) -> None:
    versions: dict[int, list[tuple[str, Record]]] = defaultdict(list)
    within_a_part = within_a_run = 0
    for path, part in parts(feed, "members").items():
        run = path.split("/")[1]
        ids = [record["idMember"] for record in part]
        within_a_part += len(ids) - len(set(ids))
        for record in part:
            earlier = {before["idMember"] for name, before in versions[record["idMember"]] if name == run}
            within_a_run += bool(earlier)
            versions[record["idMember"]].append((run, record))
    assert within_a_run > within_a_part > 0
    flags = ("accessBlocked", "personalTrainer")
    again = [
        {key: record[key] for key in record if key not in flags} == {key: last[key] for key in last if key not in flags}
        for delivered in versions.values()
        for (_, last), (_, record) in pairwise(delivered)
    ]
    assert 10 < sum(again) < len(again) - 10


def test_elements_vanish_from_newer_versions(feed: Path) -> None:
    seen: dict[int, set[int]] = defaultdict(set)
    vanished = 0
    for record in records(feed, "members"):
        contacts = {contact["idPhone"] for contact in record["contacts"]}
        vanished += bool(seen[record["idMember"]] - contacts)
        seen[record["idMember"]] |= contacts
    assert vanished > 5


def test_the_feed_is_as_untidy_as_the_real_one(feed: Path) -> None:
    members = records(feed, "members")
    assert any(member["gympassId"] == "" for member in members)
    assert any(member["birthDate"] in ("2026-02-30", "unknown") for member in members)
    assert any("accessBlocked" not in member for member in members)
    assert any("accessBlocked" in member and member["accessBlocked"] is None for member in members)
    assert {entry["entryDate"][19:] for entry in records(feed, "entries")} == {"", "Z", "-03:00"}
    assert {"Email", "Cellphone"} <= {contact["contactType"] for member in members for contact in member["contacts"]}


def test_same_scale_and_seed_same_records_whatever_the_threads(
    feed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = duckdb.connect
    monkeypatch.setattr(gym.duckdb, "connect", lambda config: connect(config=config | {"threads": 1}))
    again = generate_gym(tmp_path / "it's here", scale=SCALE, runs=3, seed=1)
    assert digests(again.path) == digests(feed)
    assert again.rows == sum(len(records(feed, name)) for name in ("members", "sales", "entries", "prospects"))


def test_another_seed_other_records(feed: Path, tmp_path: Path) -> None:
    other = digests(generate_gym(tmp_path, scale=SCALE, runs=3, seed=2).path)
    assert other.keys() == digests(feed).keys()
    assert not set(other.values()) & set(digests(feed).values())


def test_a_smaller_part_size_makes_more_parts_of_the_same_members(
    feed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gym, "PART_IDS", 100)
    again = generate_gym(tmp_path, scale=SCALE, runs=1, seed=1).path
    assert len(parts(again, "members")) == 5
    assert {record["idMember"] for record in records(again, "members")} == set(range(1, 481))


def test_parts_of_another_scale_are_not_mixed(tmp_path: Path) -> None:
    generate_gym(tmp_path, scale=0.00001, runs=2, seed=1)
    with pytest.raises(ToolError, match=r"another scale or number of runs.*--to"):
        generate_gym(tmp_path, scale=0.00001, runs=1, seed=1)
    generate_gym(tmp_path, scale=0.00001, runs=2, seed=1)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "gym", "--scale", "0.00001", "--runs", "1", "--to", str(tmp_path)]) == 0
    assert f"{tmp_path}: " in capsys.readouterr().out
    assert not list(tmp_path.rglob(".*")), "nothing is left beside the parts"


def test_one_entity_alone_is_as_among_all(feed: Path, tmp_path: Path) -> None:
    generate_gym(tmp_path, scale=SCALE, runs=3, seed=1, entities=["members"])
    assert digests(tmp_path) == {path: it for path, it in digests(feed).items() if path.startswith("entity=members/")}


def test_the_day_after_brings_new_sales_known_ones_and_changed_ones(tmp_path: Path) -> None:
    generate_gym(tmp_path, scale=SCALE, runs=1, seed=1, entities=["sales"])
    known = {record["idSale"]: record for record in records(tmp_path, "sales")}
    assert generate_gym_day(tmp_path, scale=SCALE, seed=1, entities=["sales"]).rows == 26
    brought = parts(tmp_path, "sales")["ingestion_date=2026-01-12/run_id=20260112T030000Z/part-00001.jsonl.gz"]
    new = [record["idSale"] for record in brought if record["idSale"] not in known]
    assert new == list(range(2561, 2574))
    again = [
        {**record, "flRemoved": None} == {**known[record["idSale"]], "flRemoved": None}
        for record in brought
        if record["idSale"] in known
    ]
    assert 0 < sum(again) < len(again) == 13


def test_generation_goes_on_with_the_parts_that_are_missing(tmp_path: Path) -> None:
    whole = digests(generate_gym(tmp_path, scale=SCALE, runs=1, seed=1, entities=["sales"]).path)
    first, second = sorted(tmp_path.rglob("*.jsonl.gz"))
    written_at = first.stat().st_mtime_ns
    second.unlink()
    generate_gym(tmp_path, scale=SCALE, runs=1, seed=1, entities=["sales"], resume=True)
    assert digests(tmp_path) == whole
    assert first.stat().st_mtime_ns == written_at


def test_ctrl_c_is_one_line_and_leaves_no_part_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "generate", "gym", "--scale", "0.01", "--entity", "entries", "--to"]
    with subprocess.Popen(
        [*command, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        wait_until(lambda: any(tmp_path.rglob(".part-*")))
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert (child.returncode, said.splitlines()[-1:]) == (130, ["interrupted"])
    assert not any(tmp_path.rglob(".part-*"))
