"""The gym's members from an API to core: extract, load and dbt build, with an API that fails now and then."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.generate.gym import generate_gym
from loaders.bronze import Folder
from loaders.extract.extraction import Extraction, ExtractOptions
from loaders.sources import read_sources, select_sources
from tests.conftest import REPOSITORY
from tests.loaders.extract.api import TOKEN, Answer, RestApi, serving, times
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Feed


def generated_runs(folder: Path) -> list[list[bytes]]:
    """Return the records of two runs of the generator, each with when it changed."""
    generate_gym(folder, scale=0.0002, runs=2, seed=3, entities=["members"])
    runs = []
    for day, run in enumerate(sorted(folder.glob("*/*/run_id=*"))):
        lines = [line for part in sorted(run.glob("*.gz")) for line in gzip.decompress(part.read_bytes()).splitlines()]
        changed = (datetime(2024, 1, 11 + day, tzinfo=UTC) + timedelta(seconds=number) for number in range(len(lines)))
        runs.append(
            [
                b'%s,"updatedAt":"%s"}' % (line[:-1], at.isoformat().encode())
                for line, at in zip(lines, changed, strict=False)
            ]
        )
    return runs


def extract(bronze: Bronze, feed: Feed, name: str) -> int:
    """Extract a run, give it another name, and add its records to what the rules expect; return how many they are."""
    [source] = select_sources(read_sources(REPOSITORY), ["evo.members"])
    options = ExtractOptions(requests=2, retry_seconds=20)
    result = Extraction(source, root=Folder(bronze.root), options=options, say=lambda *_: None).run()
    [written] = bronze.root.glob(f"evo/**/run_id={result.run_id}")
    folder = written.rename(written.with_name(f"run_id={name}"))
    for part in sorted(folder.glob("*.gz")):
        lines = gzip.decompress(part.read_bytes()).splitlines()
        feed.parts[name, part.relative_to(bronze.root).as_posix()] = [json.loads(line) for line in lines]
    return result.records


def test_extract_load_build(
    dbt: Dbt, parsed: Manifest, bronze: Bronze, connection: psycopg.Connection, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    dbt.manifest = parsed
    feed = Feed(bronze, MEMBERS)
    first, second = generated_runs(tmp_path / "generated")
    with serving(RestApi(first)) as api:
        monkeypatch.setenv("EVO_URL", api.url)
        monkeypatch.setenv("EVO_TOKEN", TOKEN)
        api.faults += [
            times(1, Answer(429, headers={"Retry-After": "1"}), page="2"),
            times(2, Answer(502), page="3"),
            times(1, Answer(200, b'{"total": 1, "data": [{"idMember": 1}]}', cut=True), page="4"),
        ]
        assert extract(bronze, feed, "20240111T030000Z") == len(first)
        assert sum(result.records for result in bronze.load("evo.members").loads) == len(first)
        models = ["--select", *MEMBERS.views, *MEMBERS.tables]
        # Tests that read other models, too, are not among these; unit tests have their own.
        dbt.succeed("build", *models, "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test")
        assert MEMBERS.core(connection) == feed.expected()

        # What changed, and the last record of the run before.
        api.records = first + second
        assert extract(bronze, feed, "20240112T030000Z") == len(second) + 1
        bronze.load("evo.members")
        dbt.succeed("run", *models)
        assert MEMBERS.core(connection) == feed.expected()
