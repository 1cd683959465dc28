"""One real server a session, a fresh database a test, a project folder with a bronze root."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from dbt_common.behavior_flags import BehaviorFlagRendered
from hypothesis import settings

from loaders.bronze import BronzeRoot, Folder
from loaders.connection import Address, connect
from loaders.errors import LoaderError
from loaders.load import TableLoader
from loaders.load_report import LoadOptions, TableReport
from loaders.progress import Progress
from loaders.server import LocalServer
from loaders.sources import read_sources, select_sources
from tests.citus import cluster_of_tests
from tests.processes import abandoned_folders, folder_of_process, free_port

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests send it to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples in each run, however slow the machine; `--hypothesis-profile default` draws others.
settings.load_profile("ci")
REPOSITORY = Path(__file__).parent.parent
_numbers = count(1)
# Not pytest's own folder: it forgets old ones, whether a server runs there or not.
SERVERS = Path(tempfile.gettempdir()) / f"ingot-test-servers-{os.getuid()}"


@contextmanager
def server_of_tests(servers: Path = SERVERS, *, database: str = "ingot") -> Iterator[LocalServer]:
    """Run a server in a folder that names this process, so that a later run finds it if this one is killed."""
    with folder_of_process(servers) as folder:
        server = LocalServer(folder / ".pgdata", Address(port=free_port(), database=database))
        try:
            server.up()
            yield server
        finally:
            server.remove()


def remove_abandoned_servers(servers: Path = SERVERS) -> None:
    """Stop and remove the servers whose process of pytest is gone."""
    for folder in abandoned_folders(servers):
        # Another run may be at the same.
        with suppress(LoaderError, OSError):
            LocalServer(folder / ".pgdata", Address()).remove()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on-citus", action="store_true", help="Run the tests of the project on a Citus cluster.")


@contextmanager
def coordinator_of_tests() -> Iterator[LocalServer]:
    with cluster_of_tests() as cluster:
        coordinator = cluster.coordinator
        coordinator.address = replace(coordinator.address, database="postgres")
        yield coordinator


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[LocalServer]:
    """The session's server.

    Tests run as its plain role, which may create roles and set deadlock_timeout here; `superuser` may do all else.
    """
    remove_abandoned_servers()
    on_citus = pytestconfig.getoption("on_citus")
    with coordinator_of_tests() if on_citus else server_of_tests(database="postgres") as server:
        with connect(server.superuser_address) as superuser:
            superuser.execute("alter role ingot createrole; grant set on parameter deadlock_timeout to ingot")
            # No test turns the machine off, and each drops a database, for which the server would sync all its files.
            superuser.execute("alter system set fsync = off")
            superuser.execute("select pg_reload_conf()")
            if superuser.info.server_version >= 160000:
                # What it creates, it may become, as every role could of PostgreSQL 15.
                superuser.execute("alter role ingot set createrole_self_grant = 'set, inherit'")
        yield server


@pytest.fixture(scope="session", autouse=True)
def quick_dbt() -> Iterator[None]:
    """Spare dbt's search for the caller of each flag: frames times modules, seconds a command in a test's process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BehaviorFlagRendered, "_default_source", lambda _: "tests")
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait, for a server, for a retry, for a rate."""
    return len(os.sched_getaffinity(0)) + 1


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
    # As superuser: a session of the fixture `superuser` may still be ending.
    with connect(server.superuser_address) as superuser:
        superuser.execute(f"drop database {name} with (force)")


@pytest.fixture
def connection(address: Address) -> Iterator[psycopg.Connection]:
    with connect(address) as connection:
        yield connection


@pytest.fixture
def superuser(server: LocalServer, address: Address) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the test's database, for what its own role may not do."""
    with connect(replace(server.superuser_address, database=address.database)) as connection:
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
        self,
        name: str,
        *,
        described: Sequence[str] = (),
        source: str = "",
        schema: str = "staging",
        meta: Mapping[str, Any] | None = None,
        **bronze: Any,
    ) -> None:
        """Declare the table `source`.rows, else `name`.rows, whose files are <name>/* unless `path` says otherwise."""
        source = source or name
        folder = self.folder / "models" / "staging" / source
        folder.mkdir(parents=True, exist_ok=True)
        table = {
            "name": "rows",
            "identifier": f"{name}__rows",
            "config": {"meta": {"bronze": {"path": f"{name}/**/*", "format": "csv"} | bronze} | (meta or {})},
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
        return self.load_from(Folder(self.bronze), source, **options)

    def load_from(self, root: BronzeRoot, source: str, **options: Any) -> TableReport:
        """Run the loader in this process on another bronze root."""
        [table] = select_sources(read_sources(self.folder), [source])
        with Progress() as progress:
            return TableLoader(
                table,
                root=root,
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

    def start(self, *arguments: str, script: str = "") -> subprocess.Popen[str]:
        """Start the command line, or a script of Python with its arguments."""
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments] if script else self.command(*arguments),
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
