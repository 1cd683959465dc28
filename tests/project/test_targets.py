"""Several targets in one database: each has its own models, all of them the same raw tables and ledger."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address
from loaders.server import LocalServer
from tests.project.conftest import Bronze, Dbt

PEOPLE = ["--select", "source:people+", "--exclude", "resource_type:unit_test"]
SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_|information_schema|public|^citus' order by 1"
APPLIED = "select load_id from ops.applied_loads where model = %s order by 1"


class Developer:
    """dbt with the target `dev`, in schemas of the developer's own."""

    def __init__(self, name: str, address: Address, folder: Path) -> None:
        self._dbt = Dbt(address, folder / name)
        self._name = name
        with self._own_schema():
            self._dbt.manifest = self.manifest = self._dbt.parse("--target", "dev")

    def succeed(self, *arguments: str) -> None:
        with self._own_schema():
            self._dbt.succeed(*arguments, "--target", "dev")

    @contextmanager
    def _own_schema(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_SCHEMA", self._name)
            yield

    def people(self, connection: psycopg.Connection) -> list[str]:
        found = connection.execute(f'select name from "{self._name}_core".people order by person_id').fetchall()
        return [name for (name,) in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="module")
def ada(server: LocalServer, folder: Path) -> Developer:
    return Developer("ada", replace(server.address, database="project"), folder)


@pytest.fixture(scope="module")
def rui(server: LocalServer, folder: Path) -> Developer:
    # A name that has to be quoted.
    return Developer("Rui-2", replace(server.address, database="project"), folder)


def test_two_targets_build_in_one_database(
    ada: Developer, rui: Developer, dbt: Dbt, bronze: Bronze, connection: psycopg.Connection
) -> None:
    bronze.write_people("1", {1: "First,30,true,Lima,Lima,Peru"})
    bronze.load()
    ada.succeed("build", *PEOPLE)
    own = ["ada_core", "ada_marts", "ada_staging"]
    assert [name for (name,) in connection.execute(SCHEMAS)] == [*own, "ops", "staging"]

    # The second sees nothing of the first's: it applies both loads, the first only what was there.
    bronze.write_people("2", {2: "Second,40,true,Lima,Lima,Peru"})
    bronze.load()
    rui.succeed("build", *PEOPLE)
    assert rui.people(connection) == ["First", "Second"]
    assert ada.people(connection) == ["First"]
    ada.succeed("build", *PEOPLE)
    assert ada.people(connection) == ["First", "Second"]

    # So has the target that owns the plain names, and a full refresh is one target's.
    dbt.succeed("build", *PEOPLE)
    ada.succeed("run", "--full-refresh", "--select", "people")
    loads = connection.execute("select load_id from ops.loads order by 1").fetchall()
    assert len(loads) == 2
    for schema in ("core", "ada_core", '"Rui-2_core"'):
        assert connection.execute(APPLIED, [f"{schema}.people"]).fetchall() == loads


def test_nothing_names_the_schemas_of_another_target(ada: Developer, bronze: Bronze, folder: Path) -> None:
    """Of models, tests and analyses, as they are sent to the server."""
    bronze.load()
    ada.succeed("compile")
    compiled = {path.name: path.read_text() for path in (folder / "ada" / "target" / "compiled").rglob("*.sql")}
    assert len(compiled) > 200
    plain = re.compile(r"""["'\s](core|marts)["']?\.["'\w]|["'\s]staging["']?\.["']?stg_""")
    assert [name for name, text in compiled.items() if plain.search(text)] == []


def test_the_models_of_a_target_are_in_its_schemas(ada: Developer) -> None:
    built = {node.schema for node in ada.manifest.nodes.values() if node.resource_type in ("model", "seed")}
    assert built == {"ada_staging", "ada_core", "ada_marts"}
    assert {source.schema for source in ada.manifest.sources.values()} == {"staging", "ops"}
