"""How fast extract is: `pytest -m slow -s tests/loaders/extract/test_speed.py` prints it; no time is asserted."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.generate.gym import generate_gym
from loaders.bronze import Folder
from loaders.extract.extraction import Extraction, ExtractOptions
from loaders.sources import read_sources, select_sources
from tests.conftest import REPOSITORY
from tests.loaders.extract.api import TOKEN

pytestmark = pytest.mark.slow
# An API in a process of its own, as it is elsewhere: members of the generator, 20 ms a request.
SERVER = """
import gzip, pathlib, sys, time
from tests.loaders.extract.api import RestApi, serving
parts = sorted(pathlib.Path(sys.argv[1]).rglob("*.gz"))
lines = [line for part in parts for line in gzip.decompress(part.read_bytes()).splitlines()]
records = [line[:-1] + b',"updatedAt":"2024-01-11T00:00:00Z"}' for line in lines]
with serving(RestApi(records, delay=0.02)) as api:
    print(api.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gym")
    generate_gym(folder, scale=0.01, runs=1, seed=1, entities=["members"])
    command = [sys.executable, "-c", SERVER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.mark.parametrize("requests", [1, 4])
@pytest.mark.parametrize("round_", [1, 2, 3])
def test_records_a_second(
    url: str, requests: int, round_: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of 100 members of 1.2 kB, 5,000 records/s at most over one connection."""
    monkeypatch.setenv("EVO_URL", url)
    monkeypatch.setenv("EVO_TOKEN", TOKEN)
    [source] = select_sources(read_sources(REPOSITORY), ["evo.members"])
    options = ExtractOptions(requests=requests)
    result = Extraction(source, root=Folder(tmp_path), options=options, say=lambda *_: None).run()
    assert result.records > 10_000
    print(
        f"\nround {round_}, {requests} at once: {result.records:,} records, {result.records_per_second:,.0f} records/s"
    )
