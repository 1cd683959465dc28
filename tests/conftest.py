"""One real server a session, a fresh database a test, a project folder with a bronze root."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from dbt_common.behavior_flags import BehaviorFlagRendered

from loaders.bronze import Folder
from loaders.connection import Address, connect
from loaders.load import TableLoader
from loaders.load_report import LoadOptions, TableReport
from loaders.progress import Progress
from loaders.server import LocalServer
from loaders.sources import read_sources, select_sources

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests send it to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)
REPOSITORY = Path(__file__).parent.parent
_numbers = count(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path_factory.mktemp("server") / ".pgdata", Address(port=free_port(), database="postgres"))
    server.up()
    yield server
    server.remove()


@pytest.fixture(scope="session", autouse=True)
def quick_dbt() -> Iterator[None]:
    """Spare dbt's search for the caller of each flag: frames times modules, seconds a command in a test's process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BehaviorFlagRendered, "_default_source", lambda _: "tests")
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of pytest-xdist has told."""
    node.config.postgresql_version = getattr(node, "workeroutput", {}).get("postgresql_version")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    version = getattr(config, "postgresql_version", None)
    if version:
        terminalreporter.write_line(version)


@pytest.fixture(scope="session")
def server_version(server: LocalServer, request: pytest.FixtureRequest) -> int:
    with connect(server.address) as connection:
        version = connection.execute("select version()").fetchone()[0]  # type: ignore[index]
        request.config.postgresql_version = version  # type: ignore[attr-defined]
        getattr(request.config, "workeroutput", {})["postgresql_version"] = version
        return connection.info.server_version


@pytest.fixture
def address(server: LocalServer, server_version: int) -> Iterator[Address]:
    """The address of a database of this test's own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with connect(server.address) as connection:
        connection.execute(f"create database {name}")
        yield replace(server.address, database=name)
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def connection(address: Address) -> Iterator[psycopg.Connection]:
    with connect(address) as connection:
        yield connection


@dataclass
class Project:
    """A folder with source declarations and a bronze root, and the loader run on it."""

    folder: Path
    address: Address

    @property
    def bronze(self) -> Path:
        return self.folder / "data" / "bronze"

    def declare(
        self, name: str, *, described: Sequence[str] = (), source: str = "", schema: str = "staging", **bronze: Any
    ) -> None:
        """Declare the table `source`.rows, else `name`.rows, whose files are <name>/* unless `path` says otherwise."""
        source = source or name
        folder = self.folder / "models" / "staging" / source
        folder.mkdir(parents=True, exist_ok=True)
        table = {
            "name": "rows",
            "identifier": f"{name}__rows",
            "config": {"meta": {"bronze": {"path": f"{name}/**/*", "format": "csv"} | bronze}},
            "columns": [{"name": column} for column in described],
        }
        document = {"sources": [{"name": source, "schema": schema, "tables": [table]}]}
        (folder / f"_{source}__sources.yml").write_text(yaml.safe_dump(document))
        (self.bronze / name).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, data: bytes | str) -> Path:
        file = self.bronze / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    def load(self, source: str, **options: Any) -> TableReport:
        """Run the loader in this process."""
        [table] = select_sources(read_sources(self.folder), [source])
        with Progress() as progress:
            return TableLoader(
                table,
                root=Folder(self.bronze),
                address=self.address,
                options=LoadOptions(**options),
                progress=progress,
            ).run(lambda _: None)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.address.environment | {"PYTHONPATH": str(REPOSITORY)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "loaders", *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user does."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str) -> Any:
        path = self.folder / "result.json"
        self.run(*arguments, "--json", str(path))
        return json.loads(path.read_text())


@pytest.fixture
def project(tmp_path: Path, address: Address) -> Project:
    (tmp_path / "data" / "bronze").mkdir(parents=True)
    return Project(tmp_path, address)
