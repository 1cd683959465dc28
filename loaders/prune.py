"""Retention: the raw rows of loads that every model has applied go, and their files stay claimed.

Versions of records have an order, that of their files: the run, then the load in which the content was delivered first.
An increment reads every version from its oldest new one on. So what is pruned is older than all that stays: then only
a file that is older than something pruned needs pruned rows, and dbt refuses to build it (check_rows_are_there.sql).
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from loaders.ledger import Ledger
from loaders.locks import lock_table
from loaders.raw_table import RawTable
from loaders.retired_segments import drop_retired
from loaders.segments import close_segment, segment_bytes

# How long the segments wait for those who still read them; a later command drops what is left.
DROP_SECONDS = 10.0
# A smaller segment, or a smaller share of its table, is not closed and dropped: its rows are deleted, and its pages
# filled again. So a table has some 64 segments, however often it is pruned.
SEGMENT_BYTES = 1024**2
SEGMENT_SHARE = 1 / 64
# PostgreSQL's default, which the segments' indexes have.
PAGES_PER_RANGE = 128
Version = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What stays: the newest loads, the younger ones; models in `ignored_schemas` need not have applied what goes."""

    keep_loads: int = 0
    older_than: timedelta | None = None
    ignored_schemas: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class PrunedTable:
    """What was, or would be, pruned of a table: loads, their records, the table's bytes before and after.

    `blocking` are models, each with the number of loads that stay because it has not applied them. Where `has_models`
    is false, nobody has applied anything. `left` are segments that older transactions still read.
    """

    load_ids: list[int]
    records: int
    kept: int
    has_models: bool
    blocking: dict[str, int]
    bytes_before: int = 0
    bytes_after: int = 0
    left: int = 0


@dataclass
class _Load:
    is_complete: bool
    records: int
    delivered_at: datetime
    unapplied_by: list[str] | None
    versions: list[Version] = field(default_factory=list)


def plan_prune(connection: psycopg.Connection, table: RawTable, retention: Retention) -> PrunedTable:
    """Return what can be pruned of a table, and change nothing."""
    loads = _loads(connection, table, retention.ignored_schemas)
    complete = sorted((i for i, load in loads.items() if load.is_complete), key=lambda i: max(loads[i].versions))
    wanted = set(complete[: len(complete) - retention.keep_loads] if retention.keep_loads < len(complete) else [])
    if retention.older_than is not None:
        row = connection.execute("select clock_timestamp() - %s", [retention.older_than]).fetchone()
        assert row is not None  # noqa: S101 - select without from returns a row
        wanted = {i for i in wanted if loads[i].delivered_at < row[0]}
    blocking = Counter(model for i in wanted for model in loads[i].unapplied_by or ())
    has_models = any(load.unapplied_by is not None for load in loads.values())
    pruned = _older_than_all_others(loads, {i for i in wanted if loads[i].unapplied_by == []})
    return PrunedTable(
        load_ids=sorted(pruned),
        records=sum(loads[i].records for i in pruned),
        kept=len(complete) - len(pruned),
        has_models=has_models,
        blocking=dict(sorted(blocking.items())),
    )


def prune(connection: psycopg.Connection, table: RawTable, retention: Retention) -> PrunedTable:
    """Prune a table, without holding up its readers; LoadError if a loader wants it alone."""
    with lock_table(connection, table, alone=False):
        ledger = Ledger(connection, table)
        ledger.undo_interrupted()
        plan = plan_prune(connection, table, retention)
        before = _bytes(connection, table)
        if plan.load_ids:
            ledger.prune(plan.load_ids, min_bytes=SEGMENT_BYTES)
            _vacuum(connection, table, plan.load_ids)
        # Loads that come until the next time are a segment of their own, which goes as a whole when they have aged.
        close_segment(connection, table, min_bytes=SEGMENT_BYTES, min_share=SEGMENT_SHARE)
        left = drop_retired(connection, table, seconds=DROP_SECONDS)
        return replace(plan, bytes_before=before, bytes_after=_bytes(connection, table), left=left)


def _loads(connection: psycopg.Connection, table: RawTable, ignored_schemas: Collection[str]) -> dict[int, _Load]:
    """Return the loads that hold files, by id; `unapplied_by` is None where no model has read any load of the table."""
    rows = connection.execute(
        """
        with unapplied as (
            select load_id, coalesce(array_agg(model) filter (where not is_applied), '{}') as models
            from ops.models_of_loads
            cross join lateral (select (parse_ident(model))[1] as schema) as named
            where table_schema = %(schema)s and table_name = %(name)s and not exists (
                select from unnest(%(ignored)s::text[]) as ignored
                where named.schema = ignored or starts_with(named.schema, ignored || '_')
            )
            group by load_id
        )

        select
            files.load_id, loads.status = 'complete', coalesce(loads.records, 0), unapplied.models,
            coalesce(files.hive_keys ->> 'run_id', ''), files.first_load_id,
            min(coalesce(first.started_at, loads.started_at))
        from ops.files
        inner join ops.loads on loads.load_id = files.load_id
        left join ops.loads as first on first.load_id = files.first_load_id
        left join unapplied on unapplied.load_id = files.load_id
        where files.table_schema = %(schema)s and files.table_name = %(name)s and files.released_at is null
            and loads.status in ('started', 'complete')
        group by files.load_id, loads.load_id, unapplied.models, 5, files.first_load_id
        """,
        {"schema": table.schema, "name": table.name, "ignored": list(ignored_schemas)},
    )
    loads: dict[int, _Load] = {}
    for load_id, is_complete, records, models, run_id, first_load_id, delivered_at in rows:
        load = loads.setdefault(load_id, _Load(is_complete, records, delivered_at, models))
        load.delivered_at = max(load.delivered_at, delivered_at)
        load.versions.append((run_id, first_load_id))
    return loads


def _older_than_all_others(loads: dict[int, _Load], chosen: set[int]) -> set[int]:
    """Return those of the loads whose versions are all older than every version of the loads that stay."""
    while chosen:
        oldest_kept = min((min(load.versions) for i, load in loads.items() if i not in chosen), default=None)
        newer = {i for i in chosen if oldest_kept is not None and max(loads[i].versions) >= oldest_kept}
        if not newer:
            break
        chosen = chosen - newer
    return chosen


def _vacuum(connection: psycopg.Connection, table: RawTable, load_ids: list[int]) -> None:
    """Vacuum the segments of which rows were deleted, so that the next loads fill their pages.

    These loads would widen the BRIN ranges of those pages, which never narrow: so the ranges are summarized anew.
    """
    rows = connection.execute(
        """
        select relation_name from ops.segments
        where table_schema = %s and table_name = %s and retired_xid is null and exists (
            select from unnest(%s::integer[]) as load_id where load_id >= first_load_id and load_id < end_load_id
        )
        """,
        [table.schema, table.name, load_ids],
    ).fetchall()
    for (relation,) in rows:
        segment = sql.Identifier(table.schema, relation)
        connection.execute(sql.SQL("vacuum (analyze) {}").format(segment))
        indexes = connection.execute(
            """
            select indexrelid, pg_relation_size(indrelid) / current_setting('block_size')::integer
            from pg_index
            inner join pg_class on pg_class.oid = indexrelid
            inner join pg_am on pg_am.oid = relam
            where indrelid = %s::regclass and amname = 'brin'
            """,
            [segment.as_string(connection)],
        ).fetchall()
        for index, pages in indexes:
            connection.execute(
                "select brin_desummarize_range(%s::oid, block) from generate_series(0, %s::bigint, %s) as block",
                [index, pages, PAGES_PER_RANGE],
            )
            connection.execute("select brin_summarize_new_values(%s::oid)", [index])


def _bytes(connection: psycopg.Connection, table: RawTable) -> int:
    size = segment_bytes(connection)
    query = f"select coalesce(sum({size}), 0) from ops.segments where table_schema = %s and table_name = %s"
    row = connection.execute(query.encode(), [table.schema, table.name]).fetchone()
    return 0 if row is None else int(row[0])
