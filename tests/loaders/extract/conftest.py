"""A project whose source is a REST API on loopback."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders.bronze import BronzeRoot, Folder
from loaders.extract.extraction import Extraction, ExtractOptions, ExtractResult
from loaders.sources import read_sources, select_sources
from tests.loaders.extract.api import TOKEN, RestApi, serving

PAGES = {"kind": "page", "parameter": "page", "size_parameter": "size", "total": "paging.total"}
OFFSETS = {"kind": "offset", "parameter": "skip", "size_parameter": "size", "total": "paging.total"}
TOKENS = {"kind": "cursor", "parameter": "after", "next": "paging.next", "size_parameter": "size"}
LINKS = {"kind": "link", "size_parameter": "size"}


def records(count: int, *, first: int = 0) -> list[bytes]:
    """Return records whose bytes no JSON writer would give back: numbers, escapes and spaces of all sorts."""
    return [
        b'{"id":%d, "updatedAt":"2024-01-%02dT00:00:00Z","price":1.10,"big":%d,"name":"Z\\u00e9 \xc3\xa9 \\/"}'
        % (number, 1 + number % 28, 10**30 + number)
        for number in range(first, first + count)
    ]


@dataclass
class Extractor:
    """The project's folder, and extract run on it in this process; `said` are the retries."""

    folder: Path
    api: RestApi
    said: list[str]

    @property
    def bronze(self) -> Path:
        return self.folder / "data" / "bronze"

    def declare(
        self, path: str, pagination: dict[str, Any], bronze: dict[str, Any] | None = None, **extract: Any
    ) -> None:
        folder = self.folder / "models" / "staging" / "gym"
        folder.mkdir(parents=True, exist_ok=True)
        declared = {
            "url": f"${{GYM_URL}}{path}",
            "auth": {"kind": "bearer", "token": "GYM_TOKEN"},
            "records": "data",
            "pagination": pagination,
            "page_size": 10,
            "timeout_seconds": 5,
        }
        files = {"path": "gym/entity=rows/**/*.jsonl.gz", "format": "jsonl", "record_number": True} | (bronze or {})
        table = {
            "name": "rows",
            "identifier": "gym__rows",
            "config": {"meta": {"bronze": files, "extract": declared | extract}},
        }
        document = {"sources": [{"name": "gym", "schema": "staging", "tables": [table]}]}
        (folder / "_gym__sources.yml").write_text(yaml.safe_dump(document))

    def run(self, root: BronzeRoot | None = None, **options: Any) -> ExtractResult:
        [source] = select_sources(read_sources(self.folder), ["gym.rows"])
        self.bronze.mkdir(parents=True, exist_ok=True)
        return Extraction(
            source,
            root=root or Folder(self.bronze),
            options=ExtractOptions(**{"retry_seconds": 10, **options}),
            say=lambda error, _: self.said.append(error),
        ).run()

    def written(self, run_id: str) -> list[bytes]:
        """Return the lines of a run's parts, in their order."""
        [folder] = self.bronze.glob(f"gym/**/run_id={run_id}")
        return [
            line for part in sorted(folder.glob("part-*")) for line in gzip.decompress(part.read_bytes()).splitlines()
        ]

    def manifest(self, run_id: str) -> dict[str, Any]:
        [path] = self.bronze.glob(f"gym/**/run_id={run_id}/_run.json")
        return dict(json.loads(path.read_text()))

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another id, so that the next one need not wait for the clock's next second."""
        [folder] = self.bronze.glob(f"gym/**/run_id={run_id}")
        folder.rename(folder.with_name(f"run_id={name}"))


@pytest.fixture
def api() -> Iterator[RestApi]:
    with serving(RestApi(records(95))) as api:
        yield api


@pytest.fixture
def extractor(tmp_path: Path, api: RestApi, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    monkeypatch.setenv("GYM_URL", api.url)
    monkeypatch.setenv("GYM_TOKEN", TOKEN)
    return Extractor(tmp_path, api, [])
