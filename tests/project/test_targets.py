"""Several targets in one database: each has its own models, all of them the same raw tables and ledger."""

import re
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address
from tests.project.conftest import Bronze, Dbt

PEOPLE = ["source:people+", "--exclude", "resource_type:unit_test"]
SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_|information_schema|public' order by 1"
APPLIED = "select load_id from ops.applied_loads where model = %s order by 1"


class Developer:
    """dbt with a target of its own name, parsed once."""

    def __init__(self, name: str, address: Address, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self._patch = monkeypatch
        self._dbt = Dbt(address, folder / name)
        self._set_schema()
        self._dbt.manifest = self._dbt.parse("--target", "dev")

    def _set_schema(self) -> None:
        self._patch.setenv("DBT_SCHEMA", self.name)

    def succeed(self, *arguments: str) -> None:
        self._set_schema()
        self._dbt.succeed(*arguments, "--target", "dev")

    def schemas(self) -> set[str]:
        assert self._dbt.manifest is not None
        nodes = [*self._dbt.manifest.nodes.values(), *self._dbt.manifest.sources.values()]
        return {node.schema for node in nodes if node.resource_type in ("model", "seed", "source")}


def names(connection: psycopg.Connection, developer: str) -> list[str]:
    people = connection.execute(f'select name from "{developer}_core".people order by person_id').fetchall()
    return [name for (name,) in people]


def test_two_targets_build_in_one_database(
    address: Address,
    dbt: Dbt,
    bronze: Bronze,
    connection: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bronze.write_people("1", {1: "First,30,true,Lima,Lima,Peru"})
    bronze.load()
    ada, rui = (Developer(name, address, tmp_path, monkeypatch) for name in ("ada", "rui"))
    ada.succeed("build", "--select", *PEOPLE)
    layers = ["core", "marts", "staging"]
    assert ada.schemas() == {"ops", "staging", *(f"ada_{layer}" for layer in layers)}
    own = ["ada_core", "ada_marts", "ada_staging"]
    assert [name for (name,) in connection.execute(SCHEMAS)] == [*own, "ops", "staging"]

    # The second sees nothing of the first's: it applies both loads, the first only its own.
    bronze.write_people("2", {2: "Second,40,true,Lima,Lima,Peru"})
    bronze.load()
    rui.succeed("build", "--select", *PEOPLE)
    assert names(connection, "rui") == ["First", "Second"]
    assert names(connection, "ada") == ["First"]
    ada.succeed("build", "--select", *PEOPLE)
    assert names(connection, "ada") == ["First", "Second"]
    loads = connection.execute("select load_id from ops.loads order by 1").fetchall()
    assert len(loads) == 2
    assert connection.execute(APPLIED, ["ada_core.people"]).fetchall() == loads
    assert connection.execute(APPLIED, ["rui_core.people"]).fetchall() == loads

    # The target that owns the plain names has its own, too, and a full refresh is one target's.
    dbt.succeed("build", "--select", *PEOPLE)
    ada.succeed("run", "--full-refresh", "--select", "people")
    for schema in ("core", "ada_core", "rui_core"):
        assert connection.execute(APPLIED, [f"{schema}.people"]).fetchall() == loads


def test_nothing_names_the_schemas_of_another_target(
    bronze: Bronze, address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of models, tests and analyses, as they are sent to the server."""
    bronze.load()
    ada = Developer("ada", address, tmp_path, monkeypatch)
    ada.succeed("compile")
    compiled = {path: path.read_text() for path in (tmp_path / "ada" / "target" / "compiled").rglob("*.sql")}
    assert len(compiled) > 200
    plain = re.compile(r"""["'\s](core|marts)["']?\.["'\w]|["'\s]staging["']?\.["']?stg_""")
    assert [str(path) for path, text in compiled.items() if plain.search(text)] == []
