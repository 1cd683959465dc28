"""Segments: the partitions of a raw table, each a block of load ids.

A raw table is partitioned by ranges of `_load_id`. A segment that has grown takes no more loads, and a full refresh
lands in new ones, so that undoing, discarding and replacing whole segments are drops. Loads are appended one after
another, so a few kilobytes of BRIN find a load's rows. No B-trees here: each costs more than the load.
"""

import psycopg
from psycopg import sql

from loaders.raw_table import RawTable

# A grown segment is closed at the next load: small enough to drop at once, large enough that there are few.
SEGMENT_BYTES = 1024**3
SEGMENT_LOADS = 10_000


def open_segment(connection: psycopg.Connection, table: RawTable, *, new: bool = False) -> None:
    """Create the table's next segment where it has none, or where its newest one is full or grown, or if `new`."""
    if not new and _has_room(connection, table):
        return
    row = connection.execute("select nextval('ops.load_blocks')").fetchone()
    assert row is not None  # noqa: S101 - select without from returns a row
    first, end = row[0], row[0] + SEGMENT_LOADS
    # The number makes the name one of its own, where the table's own name has to be cut.
    relation = f"{table.name[:50]}__{first}"
    segment = sql.Identifier(table.schema, relation)
    # Records that fit twice on a page stay uncompressed: pglz takes a tenth of the COPY's time and a quarter of that of
    # taking a document of 1.6 kB apart, for a table that is an eighth smaller.
    connection.execute(
        sql.SQL("create table {} (like {} including all) with (toast_tuple_target = 4080)").format(
            segment, table.identifier
        )
    )
    connection.execute(sql.SQL("create index on {} using brin (_load_id) with (autosummarize = on)").format(segment))
    # Attached when it is ready: creating it in place would lock the root against its readers.
    connection.execute(
        sql.SQL("alter table {} attach partition {} for values from ({}) to ({})").format(
            table.identifier, segment, sql.Literal(first), sql.Literal(end)
        )
    )
    connection.execute(
        """
        insert into ops.segments (table_schema, table_name, first_load_id, end_load_id, relation_name, next_load_id)
        values (%s, %s, %s, %s, %s, %s)
        """,
        [table.schema, table.name, first, end, relation, first],
    )


def take_load_id(connection: psycopg.Connection, table: RawTable) -> int | None:
    """Take the next load id of the table's newest segment, in the caller's transaction; None if it has no room."""
    row = connection.execute(
        """
        update ops.segments set next_load_id = next_load_id + 1
        where table_schema = %(schema)s and table_name = %(name)s and next_load_id < end_load_id and first_load_id = (
            select max(first_load_id)
            from ops.segments
            where table_schema = %(schema)s and table_name = %(name)s and retired_xid is null
        )
        returning next_load_id - 1
        """,
        {"schema": table.schema, "name": table.name},
    ).fetchone()
    return None if row is None else int(row[0])


def _has_room(connection: psycopg.Connection, table: RawTable) -> bool:
    row = connection.execute(
        """
        select next_load_id < end_load_id
            and pg_table_size(to_regclass(format('%%I.%%I', table_schema, relation_name))) < %s
        from ops.segments
        where table_schema = %s and table_name = %s and retired_xid is null
        order by first_load_id desc
        limit 1
        """,
        [SEGMENT_BYTES, table.schema, table.name],
    ).fetchone()
    # The size is NULL where somebody has dropped the raw table.
    return row is not None and row[0] is True
