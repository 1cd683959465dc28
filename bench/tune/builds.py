"""The session that tries an index: build it, and roll it back whatever happens."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from bench.errors import CandidateError
from bench.queries.drivers import sentence
from bench.tune.candidates import Candidate
from loaders.connection import Address, connect

APPLICATION_NAME = "ingot tune"
# A server that is busy for a client that is gone, or waits for one, ends by itself.
SESSION = "set client_connection_check_interval = '1s'; set idle_in_transaction_session_timeout = '15min'"
INDEX_MEMBERS = """
    select c.relname, pg_relation_size(c.oid), i.indcheckxmin, i.indexprs is not null
    from pg_class as c
    inner join pg_index as i on c.oid = i.indexrelid
    where c.oid = %(index)s::regclass or c.oid in (select relid from pg_partition_tree(%(index)s::regclass))
"""


@dataclass(frozen=True)
class BuiltIndex:
    """A candidate while it is there: its names (one a partition), bytes, seconds of building."""

    names: frozenset[str]
    size_bytes: int
    build_seconds: float


def open_session(address: Address) -> psycopg.Connection:
    """Connect, so that the server ends what this process leaves running or waiting."""
    connection = connect(address, application_name=APPLICATION_NAME)
    connection.execute(SESSION)
    return connection


@contextmanager
def built(connection: psycopg.Connection, candidate: Candidate, lock_seconds: float) -> Iterator[BuiltIndex]:
    """Build the candidate in a transaction, let the caller look, roll back whatever happens."""
    name = f"ingot_tune_{os.getpid()}"
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local lock_timeout = {int(lock_seconds * 1000)}".encode())
        began = time.perf_counter()
        _create(connection, name, candidate)
        seconds = time.perf_counter() - began
        index = sql.Identifier(candidate.schema, name).as_string()
        members = connection.execute(INDEX_MEMBERS, {"index": index}).fetchall()
        if any(is_too_new for _, _, is_too_new, _ in members):
            raise CandidateError(
                f"{candidate.name}: rows were updated while an older transaction is still open, so that PostgreSQL "
                "would not use the index in the transaction that builds it. End the older transactions (see "
                "pg_stat_activity), then try again."
            )
        if any(has_expressions for *_, has_expressions in members):
            # Without statistics on the expression the planner guesses.
            table = sql.Identifier(candidate.schema, candidate.table)
            connection.execute(sql.SQL("analyze {}").format(table))
        # From here on a query that writes is refused, as in the other session.
        connection.execute("set transaction read only")
        yield BuiltIndex(frozenset(row[0] for row in members), sum(row[1] for row in members), seconds)


def _create(connection: psycopg.Connection, name: str, candidate: Candidate, table: str | None = None) -> None:
    """Create the index, on another table where one is given; CandidateError carries the server's words."""
    on = f"{table} {candidate.definition}" if table else candidate.name
    try:
        # A prepared statement is one statement: nothing that follows a semicolon is run.
        connection.execute(f"create index {name} on {on}".encode(), prepare=True)
    except psycopg.errors.LockNotAvailable as error:
        raise CandidateError(
            f"{candidate.name}: its table is being written, and no lock was to be had in time. Try again when it is "
            "quiet, or wait longer with --lock-seconds."
        ) from error
    except psycopg.Error as error:
        raise CandidateError(
            f"{candidate.name}: PostgreSQL does not build it: {sentence(error)} "
            "Write what may follow CREATE INDEX ON: table (columns)."
        ) from error


def check(connection: psycopg.Connection, candidate: Candidate) -> None:
    """Build the candidate on an empty copy of its table: a mistyped one is told before the first is measured."""
    table = sql.Identifier(candidate.schema, candidate.table)
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("create temporary table ingot_tune_copy (like {})").format(table))
        _create(connection, "ingot_tune_copy_index", candidate, "ingot_tune_copy")
