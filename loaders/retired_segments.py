"""Segments whose loads are gone: detached and dropped once no reader can need them."""

import time

import psycopg
from psycopg import sql

from loaders.locks import change_tables
from loaders.raw_table import RawTable

SNAPSHOT_PAUSE_SECONDS = 0.2


def drop_retired(connection: psycopg.Connection, table: RawTable, *, seconds: float) -> int:
    """Drop the table's retired segments that nobody can need any more; return how many are left after `seconds`.

    A reader whose snapshot is older than the transaction that retired a segment still sees its loads as complete.
    """
    deadline = time.monotonic() + seconds
    left = 0
    for first, relation, is_there in _retired(connection, table):
        while _old_snapshots(connection, table, first) and time.monotonic() < deadline:
            time.sleep(SNAPSHOT_PAUSE_SECONDS)
        if _old_snapshots(connection, table, first) or not _drop(
            connection, table, first, relation if is_there else None, seconds=deadline - time.monotonic()
        ):
            left += 1
    return left


def _retired(connection: psycopg.Connection, table: RawTable) -> list[tuple[int, str, bool]]:
    return connection.execute(
        """
        select first_load_id, relation_name, to_regclass(format('%%I.%%I', table_schema, relation_name)) is not null
        from ops.segments
        where table_schema = %s and table_name = %s and retired_xid is not null
        order by first_load_id
        """,
        [table.schema, table.name],
    ).fetchall()


def _old_snapshots(connection: psycopg.Connection, table: RawTable, first_load_id: int) -> bool:
    # Every role sees backend_xmin; autovacuum's workers have no user, and read no ledger.
    row = connection.execute(
        """
        select exists (
            select from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null
                and age(backend_xmin) >= age(retired_xid::xid)
        )
        from ops.segments
        where table_schema = %s and table_name = %s and first_load_id = %s
        """,
        [table.schema, table.name, first_load_id],
    ).fetchone()
    return row == (True,)


def _drop(
    connection: psycopg.Connection, table: RawTable, first_load_id: int, relation: str | None, *, seconds: float
) -> bool:
    """Drop one segment, and the ledger's row of it; return whether its lock could be had in time.

    It is detached first: that commit need not be on disk before readers go on, while dropping a file is waited for.
    """
    forget = sql.SQL(
        "delete from ops.segments where table_schema = {} and table_name = {} and first_load_id = {}"
    ).format(sql.Literal(table.schema), sql.Literal(table.name), sql.Literal(first_load_id))
    if relation is None:
        connection.execute(forget)
        return True
    segment = sql.Identifier(table.schema, relation)
    deadline = time.monotonic() + seconds
    try:
        if _is_attached(connection, table, relation):
            names = sql.SQL("only {}, only {}").format(table.identifier, segment)
            detach = [
                sql.SQL("set local synchronous_commit = off"),
                sql.SQL("alter table {} detach partition {}").format(table.identifier, segment),
            ]
            if not change_tables(connection, names, detach, seconds=seconds):
                return False
        drop = sql.SQL("drop table {}").format(segment)
        return change_tables(connection, segment, [drop, forget], seconds=deadline - time.monotonic())
    except psycopg.errors.UndefinedTable:
        return True  # another loader was faster


def _is_attached(connection: psycopg.Connection, table: RawTable, relation: str) -> bool:
    row = connection.execute(
        """
        select exists (
            select from pg_inherits
            where inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
                and inhrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(segment)s::text))
        )
        """,
        {"schema": table.schema, "table": table.name, "segment": relation},
    ).fetchone()
    return row == (True,)
