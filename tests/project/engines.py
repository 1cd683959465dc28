"""The project built by each engine from one bronze root, and what its core and marts then hold."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest

from loaders.connection import connect
from tests.project.conftest import Bronze, Dbt
from tests.project.own_project import OwnDbt

# Each engine numbers its loads, and has its own clock.
OWN_COLUMNS = {"_load_id", "_inserted_at", "_updated_at"}
Row = tuple[Any, ...]


class Engine(Protocol):
    """An engine: it lands what is new in bronze and builds, and answers queries."""

    def build(self, *arguments: str) -> None: ...

    def query(self, sql: str) -> list[Row]: ...


class PostgreSQL:
    def __init__(self, dbt: Dbt, bronze: Bronze) -> None:
        self.dbt = dbt
        self.bronze = bronze

    def build(self, *arguments: str) -> None:
        self.bronze.load_all()
        self.dbt.succeed(*arguments)

    def query(self, sql: str) -> list[Row]:
        with connect(self.bronze.address) as connection:
            return connection.execute(sql.encode()).fetchall()


class DuckDB:
    """A file, whose builds need no server: dbt is told of none."""

    def __init__(self, folder: Path, bronze: Path, project: Path | None = None) -> None:
        self.path = folder / "ingot.duckdb"
        self.bronze = bronze
        self.dbt = _ServerlessDbt(folder, project)

    def build(self, *arguments: str) -> None:
        with self.environment():
            if self.dbt.manifest is None:
                self.dbt.manifest = self.dbt.parse("--target", "duckdb")
            self.dbt.succeed(*arguments, "--target", "duckdb")

    def query(self, sql: str) -> list[Row]:
        # Not read-only: dbt, in this process, may have the file open still.
        with duckdb.connect(self.path) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()

    def environment(self) -> Any:
        patch = pytest.MonkeyPatch()
        patch.setenv("DUCKDB_PATH", str(self.path))
        patch.setenv("BRONZE_ROOT", str(self.bronze))
        return _patched(patch)


class _ServerlessDbt(OwnDbt):
    def __init__(self, folder: Path, project: Path | None) -> None:
        class Nowhere:
            environment: Mapping[str, str] = {"PGHOST": "127.0.0.1", "PGPORT": "1"}

        super().__init__(Nowhere(), folder, *([project] if project else []))  # type: ignore[arg-type]


class _patched:  # noqa: N801 - a context manager
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


def tables(manifest: Manifest) -> dict[str, list[str]]:
    """Return the core and mart tables, each with the columns of its contract that engines must agree on."""
    return {
        f"{node.schema}.{node.alias}": [name for name in node.columns if name not in OWN_COLUMNS]
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.schema in ("core", "marts")
    }


def differences(engines: Mapping[str, Engine], compared: Mapping[str, Sequence[str]]) -> list[str]:
    """Return, for each table in which an engine differs from the first one, rows that only one of them has."""
    (first, reference), *others = engines.items()
    found = []
    for table, columns in compared.items():
        sql = f"select {', '.join(columns)} from {table}"
        expected = sorted(map(_plain, reference.query(sql)), key=repr)
        for name, engine in others:
            rows = sorted(map(_plain, engine.query(sql)), key=repr)
            if rows != expected:
                only = (
                    [row for row in expected if row not in rows][:2],
                    [row for row in rows if row not in expected][:2],
                )
                counts = f"{len(expected)} and {len(rows)} rows"
                found.append(f"{table}: {counts}; only {first} has {only[0]}, only {name} has {only[1]}")
    return found


def _plain(row: Row) -> Row:
    plain: dict[type, Callable[[Any], Any]] = {
        Decimal: lambda value: value.normalize(),
        datetime: lambda value: value.astimezone(UTC),
    }
    return tuple(plain.get(type(value), lambda one: one)(value) for value in row)
