"""An in-memory DuckDB that holds copies of PostgreSQL's tables under the same names, one a process."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import duckdb
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from bench.errors import QueryFailed
from bench.queries.benchmarks import Benchmark
from loaders.connection import Address, connect

Copies = dict[tuple[Address, frozenset[tuple[str, str]]], duckdb.DuckDBPyConnection]
_copies: Copies = {}
_lock = Lock()
# A numeric without a precision has none in DuckDB's sense, whose default would round to three digits.
NUMERIC = "decimal(38, 10)"


def copied_tables(address: Address, benchmarks: Sequence[Benchmark]) -> duckdb.DuckDBPyConnection:
    """Return a cursor on a database that holds what the queries read, copied at the first call; duckdb.Error if not."""
    reads = frozenset(table for benchmark in benchmarks for table in benchmark.reads)
    with _lock:
        if (address, reads) not in _copies:
            _copies[address, reads] = _copied(address, reads)
        cursor = _copies[address, reads].cursor()
    cursor.execute(f"use {_quoted(address.database)}")
    return cursor


def _copied(address: Address, reads: frozenset[tuple[str, str]]) -> duckdb.DuckDBPyConnection:
    """Copy tables and views by CSV, their columns typed as PostgreSQL has them."""
    # The queries name their tables with the database, so it has the same name here.
    database = duckdb.connect()
    database.execute(f"attach ':memory:' as {_quoted(address.database)}; use {_quoted(address.database)}")
    with connect(address) as server, tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        for schema, name in sorted(reads):
            columns = ", ".join(f"{_quoted(column)} {type_}" for column, type_ in _columns(server, schema, name))
            target, path = f"{_quoted(schema)}.{_quoted(name)}", Path(folder, "table.csv")
            with path.open("wb") as file, server.cursor() as cursor:
                copy = SQL("copy (select * from {}) to stdout (format csv)").format(Identifier(schema, name))
                with cursor.copy(copy) as blocks:
                    file.writelines(blocks)
            database.execute(f"create schema if not exists {_quoted(schema)}; create table {target} ({columns})")
            # PostgreSQL writes NULL as nothing and an empty text as "".
            database.execute(
                f"copy {target} from '{path}' (format csv, header false, nullstr '', allow_quoted_nulls false)"
            )
    return database


def _columns(server: Connection, schema: str, name: str) -> list[tuple[str, str]]:
    """Return names and types of a table's or view's columns."""
    found = server.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute join pg_class on attrelid = pg_class.oid "
        "join pg_namespace on relnamespace = pg_namespace.oid "
        "where nspname = %s and relname = %s and attnum > 0 and not attisdropped order by attnum",
        [schema, name],
    ).fetchall()
    if not found:
        raise QueryFailed(f"{schema}.{name} is not there to copy into DuckDB: build it with `dbt build`.")
    return [(column, NUMERIC if type_ == "numeric" else type_) for column, type_ in found]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
