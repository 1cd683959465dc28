"""The dbt project, built for real in a database of the test's own."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import psycopg
import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from loaders.bronze import Folder
from loaders.connection import Address, connect
from loaders.ledger_version import SCHEMA
from loaders.load import TableLoader
from loaders.load_report import LoadOptions, TableReport
from loaders.progress import Progress
from loaders.server import LocalServer
from loaders.sources import SourceTable, read_sources, select_sources
from tests.citus import drop_everything
from tests.conftest import REPOSITORY

_numbers = count(1)
# The first of the two keys of a builder's lock; the second is the hash of the model's name.
LOCK_MODEL = 0x49_4E_47_04
PEOPLE_HEADER = "id,name,age,isMarried,city,state,country\n"


@dataclass(frozen=True)
class Done:
    """How a dbt command ended: its exit code and what it said."""

    returncode: int
    stdout: str


class Dbt:
    """Plain dbt from a project's root, in this process, its artifacts in a folder of the session's own.

    With a manifest, which `parse` returns, a command takes a sixth of the time, and writes no manifest.json.
    """

    def __init__(
        self, address: Address, folder: Path, project: Path = REPOSITORY, manifest: Manifest | None = None
    ) -> None:
        self.address = address
        self.folder = folder
        self.project = project
        self.manifest = manifest

    @property
    def profiles(self) -> Path:
        """The folder of profiles.yml: the project's own, or else the repository's."""
        return self.project if (self.project / "profiles.yml").exists() else REPOSITORY

    def parse(self, *arguments: str) -> Manifest:
        return self.parsing(*arguments)[0]

    def parsing(self, *arguments: str) -> tuple[Manifest, str]:
        """Parse, and return what dbt said, too."""
        result, said = self._invoke(["parse", *arguments])
        assert isinstance(result.result, Manifest), said
        return result.result, "\n".join(said)

    def run(self, *arguments: str) -> Done:
        written = ["--no-write-json"] if self.manifest else []
        result, said = self._invoke([*written, *arguments], self.manifest)
        code = 0 if result.success else 2 if result.exception else 1
        return Done(code, "\n".join([*said, str(result.exception or "")]))

    @contextmanager
    def running(self, *arguments: str) -> Iterator["Future[Done]"]:
        """Run dbt in a thread while the test does something else; one at a time, since dbt's settings are global."""
        executor = ThreadPoolExecutor(1)
        try:
            yield executor.submit(self.run, *arguments)
        except BaseException:
            # It may wait for what the test holds.
            executor.shutdown(wait=False)
            raise
        executor.shutdown()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start dbt as a process of its own, with a folder for its artifacts of its own."""
        target = self.folder / f"target-{next(_numbers)}"
        parsed = self.folder / "target" / "partial_parse.msgpack"
        if parsed.exists():  # so that it parses only what has changed
            target.mkdir()
            shutil.copy(parsed, target)
        options = ["--project-dir", self.project, "--profiles-dir", self.profiles, "--target-path", target]
        return subprocess.Popen(
            [sys.executable, "-m", "dbt.cli.main", "--log-path", str(target), *arguments, *map(str, options)],
            env=os.environ | self.address.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _invoke(self, arguments: list[str], manifest: Manifest | None = None) -> tuple[dbtRunnerResult, list[str]]:
        said: list[str] = []
        target = self.folder / "target"
        options = ["--project-dir", self.project, "--profiles-dir", self.profiles, "--target-path", target]
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            # The warnings of dbt's own dependencies; dbt's warnings of this project are in what it says.
            warnings.simplefilter("ignore")
            for name, value in self.address.environment.items():
                patch.setenv(name, value)
            result = dbtRunner(manifest, callbacks=[lambda event: said.append(event.info.msg)]).invoke(
                ["--quiet", "--log-path", str(self.folder / "logs"), *arguments, *map(str, options)]
            )
        return result, said

    def succeed(self, *arguments: str) -> str:
        """Run dbt, and see that it ends well and warns of nothing; return what it said."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout
        return without_warnings(done.stdout)


def without_warnings(said: str) -> str:
    """See that dbt has warned of nothing; return what it said."""
    # The debug log names types that psycopg2 has no name for, uuid among them.
    other = re.sub(r"WARN=0|\[\S*WARNING\S*\]: The `type_code` \d+ was not recognized", "", said)
    assert "WARN" not in other, said
    assert "deprecat" not in said.lower(), said
    return said


class Bronze:
    """A bronze root of people's files, and the loader run on it."""

    def __init__(self, root: Path, address: Address) -> None:
        self.root = root
        self.address = address
        self._has_raw_tables = False

    def write_people(self, name: str, persons: Mapping[int, str]) -> Path:
        """Write a file of persons: by id, the rest of the record from name to country."""
        path = self.root / "people" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PEOPLE_HEADER + "".join(f"{key},{rest}\n" for key, rest in persons.items()))
        return path

    def load(self, name: str = "people.persons", **options: int) -> TableReport:
        """Land what is new of one source and return its report; the first time of all, so that raw tables are there."""
        tables = read_sources(REPOSITORY)
        if self._has_raw_tables:
            tables = select_sources(tables, [name])
        self._has_raw_tables = True
        return {table.name: self._load(table, options) for table in tables}[name]

    def load_all(self, **options: int) -> None:
        """Land what is new of every source."""
        for table in read_sources(REPOSITORY):
            self._load(table, options)

    def _load(self, table: SourceTable, options: Mapping[str, int]) -> TableReport:
        loader = TableLoader(
            table, root=Folder(self.root), address=self.address, options=LoadOptions(**options), progress=Progress()
        )
        report = loader.run(lambda _: None)
        assert report.problems == []
        return report


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


# What --on-citus leaves out, and why.
NOT_ON_CITUS = {
    "adapter": "dbt's own tests, which make a database's tables as they like",
    "full_refresh": "its database is a copy of a template, which Citus does not distribute",
    "test_everything_at_once": "a server of its own",
    "test_lint": "no tables",
    "test_packaging": "no tables",
    "test_roles": "a database of its own",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if config.getoption("on_citus") and item.path.is_relative_to(here):
            reason = NOT_ON_CITUS.get(item.path.relative_to(here).parts[0].removesuffix(".py"))
            if marker := item.get_closest_marker("one_server"):
                reason = marker.args[0]
            if reason:
                item.add_marker(pytest.mark.skip(reason=f"not on Citus: {reason}"))


@pytest.fixture
def address(server: LocalServer, server_version: int, pytestconfig: pytest.Config) -> Address:
    """The address of one database for all of the project's tests, emptied: with another, dbt would parse anew."""
    address = replace(server.address, database="project")
    if pytestconfig.getoption("on_citus"):
        with connect(replace(server.superuser_address, database="project")) as superuser:
            drop_everything(superuser)
        return address
    with connect(server.superuser_address) as superuser:
        superuser.execute("drop database if exists project with (force)")
        superuser.execute("create database project owner ingot")
    return address


@pytest.fixture
def ledger(connection: psycopg.Connection) -> None:
    """The ledger's schema, with ops.try_cast, which casts need before PostgreSQL 16."""
    connection.execute(SCHEMA.read_text())


@pytest.fixture
def dbt(address: Address, dbt_folder: Path, parsed: Manifest) -> Dbt:
    """The repository's project, parsed once a session: its commands write no artifact."""
    return Dbt(address, dbt_folder, manifest=parsed)


@pytest.fixture
def unparsed_dbt(address: Address, dbt_folder: Path, parsed: Manifest) -> Dbt:
    """The repository's project as a user's commands have it: each parses what has changed, and writes its artifacts."""
    return Dbt(address, dbt_folder)


@pytest.fixture(scope="session")
def parsing(server: LocalServer, dbt_folder: Path) -> tuple[Manifest, str]:
    """The manifest of the repository's project, parsed from scratch, and what dbt said to that."""
    return Dbt(replace(server.address, database="project"), dbt_folder).parsing("--no-partial-parse")


@pytest.fixture(scope="session")
def parsed(parsing: tuple[Manifest, str]) -> Manifest:
    """The manifest of the repository's project."""
    return parsing[0]


@pytest.fixture
def bronze(address: Address, tmp_path: Path) -> Bronze:
    root = tmp_path / "bronze"
    root.mkdir()
    return Bronze(root, address)
