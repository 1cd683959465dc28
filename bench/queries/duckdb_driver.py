"""The benchmark queries asked of the file that `dbt build --target duckdb` makes, in the process that asks."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from bench.queries.benchmarks import Argument, Benchmark
from loaders.connection import Address

ENGINE = "DuckDB"
# As in profiles.yml.
SETTINGS = "set timezone = 'UTC'; set integer_division = true; set default_null_order = 'postgres'"


class FileQueryError(OSError):
    """DuckDB has no answer, or the file is not there."""


def duckdb_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that profiles.yml names."""
    return Path(environ.get("DUCKDB_PATH") or "data/ingot.duckdb")


def in_duckdb(benchmark: Benchmark, address: Address) -> Benchmark:
    """Return a benchmark compiled for PostgreSQL as one of the file's: it calls its database by its own name."""
    sql = benchmark.sql.replace(f'"{address.database}".', f'"{duckdb_path().stem}".')
    return replace(benchmark, name=f"{benchmark.name} ({ENGINE})", sql=sql)


@dataclass(frozen=True)
class OpenFile:
    """The file, open for reading: `fetch` has a function a query, which blocks its thread and returns all rows."""

    fetch: Sequence[Callable[..., Awaitable[Any]]]
    close: Callable[[], Awaitable[None]]


def open_file(benchmarks: Sequence[Benchmark]) -> OpenFile:
    """Open the file; FileQueryError if it is not there."""
    try:
        connection = duckdb.connect(duckdb_path(), read_only=True)
        connection.execute(SETTINGS)
    except duckdb.Error as error:
        raise FileQueryError(f"{error} Build it with `dbt build --target duckdb`.") from error

    def fetching(benchmark: Benchmark) -> Callable[..., Awaitable[Any]]:
        async def fetch(*arguments: Argument) -> Any:
            try:
                return connection.execute(benchmark.sql, list(arguments)).fetchall()
            except duckdb.Error as error:
                raise FileQueryError(str(error)) from error

        return fetch

    async def close() -> None:
        connection.close()

    return OpenFile([fetching(one) for one in benchmarks], close)
