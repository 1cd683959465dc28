"""Indexes in the database: which tables and indexes there are, and an index that is built for a trial."""

import difflib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from bench.errors import CandidateError
from bench.queries.drivers import sentence
from bench.tune.candidates import Candidate, Table, propose
from bench.tune.plans import Plan
from loaders.connection import Address, connect

TABLES = """
    select n.nspname, c.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_|information_schema$)'
    order by n.nspname, c.relname
"""
ROOTS = """
    select n.nspname, c.relname, rn.nspname, r.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_class as r on pg_partition_root(c.oid) = r.oid
    inner join pg_namespace as rn on r.relnamespace = rn.oid
    where c.relispartition
"""
COLUMNS = """
    select n.nspname, c.relname, a.attname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_attribute as a on c.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'm')
"""
INDEXES = """
    select
        n.nspname, c.relname,
        array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnatts) as k)
    from pg_index as i
    inner join pg_class as c on i.indrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where i.indpred is null and i.indisvalid
"""
APPLICATION_NAME = "ingot tune"
# A server that is busy for a client that is gone, or waits for one, ends by itself.
SESSION = "set client_connection_check_interval = '1s'; set idle_in_transaction_session_timeout = '15min'"
INDEX_MEMBERS = """
    select c.relname, pg_relation_size(c.oid), i.indcheckxmin, i.indexprs is not null
    from pg_class as c
    inner join pg_index as i on c.oid = i.indexrelid
    where c.oid = %(index)s::regclass or c.oid in (select relid from pg_partition_tree(%(index)s::regclass))
"""


def resolve(connection: psycopg.Connection, candidate: Candidate, read: frozenset[Table]) -> Candidate:
    """Return the candidate with its table's schema; where several have such a table, that which the queries read."""
    found = connection.execute(TABLES).fetchall()
    same = [table for table in found if table[1] == candidate.table and candidate.schema in ("", table[0])]
    wanted = [table for table in same if table in read] if len(same) > 1 else same
    if len(wanted) == 1:
        return replace(candidate, schema=wanted[0][0])
    if same:
        listed = ", ".join(f"{schema}.{table}" for schema, table in same)
        raise CandidateError(f"{candidate.name}: there are {listed}. Write which one, with its schema.")
    near = difflib.get_close_matches(candidate.table, [table for _, table in found], n=3)
    listed = ", ".join(dict.fromkeys(near)) or ", ".join(sorted(f"{one[0]}.{one[1]}" for one in read))
    raise CandidateError(
        f"{candidate.name}: there is no such table. Name one that the queries read, such as: {listed}."
    )


def whole_tables(connection: psycopg.Connection, plan: Plan) -> frozenset[Table]:
    """Return the tables that a plan reads, the partitioned table instead of its partitions."""
    roots = _roots(connection)
    return frozenset(roots.get(table, table) for table in plan.tables)


def proposals(connection: psycopg.Connection, plans: Iterable[Plan]) -> list[Candidate]:
    """Return what the plans suggest, without what an index of the table already begins with."""
    roots = _roots(connection)
    columns: dict[Table, list[str]] = {}
    for schema, table, column in connection.execute(COLUMNS):
        columns.setdefault((schema, table), []).append(column)
    known = {
        (schema, table, ", ".join(keys[:some]))
        for schema, table, keys in connection.execute(INDEXES)
        for some in range(1, len(keys) + 1)
    }
    proposed: dict[Candidate, None] = {}
    for candidate in (one for plan in plans for one in propose(plan, columns)):
        schema, table = roots.get((candidate.schema, candidate.table), (candidate.schema, candidate.table))
        # Plain ones only: an index that covers is another one than its key's.
        if (schema, table, candidate.definition[1:-1]) not in known:
            proposed[Candidate(schema, table, candidate.definition)] = None
    return list(proposed)


def _roots(connection: psycopg.Connection) -> dict[Table, Table]:
    """Return the partitioned table of every partition."""
    return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(ROOTS)}


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
def built(
    connection: psycopg.Connection, candidate: Candidate, lock_seconds: float, number: int = 0
) -> Iterator[BuiltIndex]:
    """Build the candidate in a transaction (or within one), let the caller look, roll back whatever happens.

    `number` tells it from others that are there at the same time.
    """
    name = f"ingot_tune_{os.getpid()}_{number}"
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
        yield BuiltIndex(frozenset(row[0] for row in members), sum(row[1] for row in members), seconds)


@contextmanager
def reading(connection: psycopg.Connection) -> Iterator[None]:
    """Refuse queries that write, as in the other session, until the block ends."""
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction read only")
        yield


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
