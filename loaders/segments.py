"""Segments: the partitions of a raw table, each a block of load ids.

A raw table is partitioned by ranges of `_load_id`. A segment that has grown takes no more loads, and a full refresh
lands in new ones, so that undoing, discarding and replacing whole segments are drops.
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from loaders.distribution import table_bytes
from loaders.raw_table import RawTable

# A grown segment is closed at the next load: small enough to drop at once, large enough that there are few.
SEGMENT_BYTES = 1024**3
SEGMENT_LOADS = 10_000
# Loads are appended one after another, so a few kilobytes of BRIN find a load's rows. It takes 8 % of a COPY's time, so
# a segment gets it before its second load, once scanning it would take longer than 10 ms or so. No B-trees here: each
# costs more than the load.
INDEXED_BYTES = 16 * 1024**2


def segment_name(table: RawTable, number: int) -> str:
    """Return the name of a segment: the table's, cut where it is long, and a number that no other segment has."""
    return f"{table.name.encode()[:50].decode(errors='ignore')}__{number}"


def segment_bytes(connection: psycopg.Connection) -> str:
    """Return the SQL for the size of a row of ops.segments, in a query with parameters."""
    return table_bytes(connection, "to_regclass(format('%%I.%%I', table_schema, relation_name))")


def open_segment(connection: psycopg.Connection, table: RawTable, *, new: bool = False) -> None:
    """Create the table's next segment where it has none, or where its newest one is full or grown, or if `new`."""
    newest = None if new else _newest(connection, table)
    if newest is not None:
        has_room = newest.next_load_id < newest.end_load_id and newest.bytes < SEGMENT_BYTES
        has_loads = newest.next_load_id - newest.first_load_id >= (1 if has_room else 2)
        if has_loads and newest.bytes >= INDEXED_BYTES and not newest.is_indexed:
            connection.execute(
                sql.SQL("create index on {} using brin (_load_id) with (autosummarize = on)").format(
                    sql.Identifier(table.schema, newest.relation)
                )
            )
        if has_room:
            return
    row = connection.execute("select nextval('ops.load_blocks')").fetchone()
    assert row is not None  # noqa: S101 - select without from returns a row
    first, end = row[0], row[0] + SEGMENT_LOADS
    relation = segment_name(table, first)
    segment = sql.Identifier(table.schema, relation)
    # Records that fit twice on a page stay uncompressed: pglz takes a tenth of the COPY's time and a quarter of that of
    # taking a document of 1.6 kB apart, for a table that is an eighth smaller.
    connection.execute(
        sql.SQL("create table {} (like {} including all) with (toast_tuple_target = 4080)").format(
            segment, table.identifier
        )
    )
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


def close_segment(connection: psycopg.Connection, table: RawTable, *, min_bytes: int, min_share: float) -> None:
    """Close the table's newest segment, so that the next load begins another; a small one of the table stays open."""
    connection.execute(
        f"""
        with sizes as (
            select first_load_id, {segment_bytes(connection)} as bytes
            from ops.segments
            where table_schema = %(schema)s and table_name = %(name)s and retired_xid is null
        )

        update ops.segments set next_load_id = end_load_id
        from sizes
        where table_schema = %(schema)s and table_name = %(name)s and segments.first_load_id = sizes.first_load_id
            and sizes.first_load_id = (select max(first_load_id) from sizes)
            and bytes >= greatest(%(bytes)s, %(share)s * (select sum(bytes) from sizes))
        """.encode(),
        {"schema": table.schema, "name": table.name, "bytes": min_bytes, "share": min_share},
    )


def take_load_id(connection: psycopg.Connection, table: RawTable) -> tuple[int, RawTable] | None:
    """Take the next load id of the table's newest segment, in the caller's transaction, and that segment.

    None if the segment has no room.
    """
    row = connection.execute(
        """
        update ops.segments set next_load_id = next_load_id + 1
        where table_schema = %(schema)s and table_name = %(name)s
            and next_load_id < end_load_id and retired_xid is null and first_load_id = (
                select max(first_load_id)
                from ops.segments
                where table_schema = %(schema)s and table_name = %(name)s and retired_xid is null
            )
        returning next_load_id - 1, relation_name
        """,
        {"schema": table.schema, "name": table.name},
    ).fetchone()
    return None if row is None else (row[0], RawTable(schema=table.schema, name=row[1]))


def retire_segments(
    connection: psycopg.Connection, table: RawTable, load_ids: list[int], *, min_bytes: int = 0
) -> list[int]:
    """Retire the segments that hold these loads and no other, in the caller's transaction, which ends the loads.

    A segment of less than `min_bytes` stays. Return the loads of those that stay, whose rows are to be deleted.
    """
    parameters = {"schema": table.schema, "name": table.name, "load_ids": load_ids, "bytes": min_bytes}
    # The lock keeps other loaders from taking an id of these segments; then what is in them can be asked.
    connection.execute(
        """
        select from ops.segments
        where table_schema = %(schema)s and table_name = %(name)s and exists (
            select from unnest(%(load_ids)s::integer[]) as load_id
            where load_id >= first_load_id and load_id < end_load_id
        )
        order by first_load_id
        for update
        """,
        parameters,
    )
    rows = connection.execute(
        f"""
        with retired as (
            update ops.segments set retired_xid = pg_current_xact_id()
            where table_schema = %(schema)s and table_name = %(name)s and retired_xid is null
                and exists (
                    select from unnest(%(load_ids)s::integer[]) as load_id
                    where load_id >= first_load_id and load_id < end_load_id
                )
                and not exists (
                    select from ops.loads
                    where loads.load_id >= first_load_id and loads.load_id < end_load_id
                        and loads.table_schema = %(schema)s and loads.table_name = %(name)s
                        and loads.load_id <> all(%(load_ids)s) and loads.status in ('started', 'complete')
                )
                and {segment_bytes(connection)} >= %(bytes)s
            returning first_load_id, end_load_id
        )

        select load_id
        from unnest(%(load_ids)s::integer[]) as load_id
        where not exists (select from retired where load_id >= first_load_id and load_id < end_load_id)
        """.encode(),
        parameters,
    )
    return [row[0] for row in rows]


def retire_all_but(connection: psycopg.Connection, table: RawTable, load_ids: list[int]) -> None:
    """Retire every segment of the table that holds none of these loads, in the caller's transaction."""
    connection.execute(
        """
        update ops.segments set retired_xid = pg_current_xact_id()
        where table_schema = %s and table_name = %s and retired_xid is null
            and not exists (
                select from unnest(%s::integer[]) as load_id where load_id >= first_load_id and load_id < end_load_id
            )
        """,
        [table.schema, table.name, load_ids],
    )


@dataclass(frozen=True)
class _Segment:
    """The segment that takes a table's next load."""

    relation: str
    first_load_id: int
    next_load_id: int
    end_load_id: int
    bytes: int
    is_indexed: bool


def _newest(connection: psycopg.Connection, table: RawTable) -> _Segment | None:
    row = connection.execute(
        f"""
        select relation_name, first_load_id, next_load_id, end_load_id,
            {table_bytes(connection, "pg_class.oid")}, relhasindex
        from ops.segments
        inner join pg_class on pg_class.oid = to_regclass(format('%%I.%%I', table_schema, relation_name))
        where table_schema = %s and table_name = %s and retired_xid is null
        order by first_load_id desc
        limit 1
        """.encode(),
        [table.schema, table.name],
    ).fetchone()
    return None if row is None else _Segment(*row)
