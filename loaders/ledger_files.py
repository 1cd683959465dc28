"""The ledger's files, ops.files: which are known, which a load claims, what became of them.

Each function runs in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders.landing_file import LandingFile
from loaders.locks import lock_rows
from loaders.raw_table import RawTable

Content = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A file that a started or complete load holds; `content` is its digest with its hive keys."""

    file_id: int
    path: str
    bytes: int
    modified_ns: int
    content: Content
    is_landed: bool


def known_files(connection: psycopg.Connection, table: RawTable) -> list[KnownFile]:
    """Return the files claimed by a started or complete load, the last one of a path last."""
    rows = connection.execute(
        """
        select file_id, path, bytes, modified_ns, digest, hive_keys, records is not null
        from ops.files
        where table_schema = %s and table_name = %s and released_at is null and not refreshing
        order by first_load_id, file_id
        """,
        [table.schema, table.name],
    )
    return [
        KnownFile(file_id=i, path=p, bytes=b, modified_ns=m, content=(d, frozenset(h.items())), is_landed=is_landed)
        for i, p, b, m, d, h, is_landed in rows
    ]


def insert_files(
    connection: psycopg.Connection, table: RawTable, load_id: int, files: Sequence[LandingFile], *, refreshing: bool
) -> dict[str, int]:
    """Insert the files that nobody else holds; return their ids by path.

    A content keeps the load in which it was delivered first, unless another one was landed at its path since.
    """
    rows = connection.execute(
        """
        insert into ops.files (
            load_id, table_schema, table_name, path, hive_keys, bytes, modified_ns, digest, replaced_file_id,
            refreshing, first_load_id
        )
        select
            %(load_id)s, %(schema)s, %(name)s, path, hive_keys, bytes, modified_ns, digest, replaced_file_id,
            %(refreshing)s,
            coalesce(
                case when last.content is null or last.content = row(file.digest, file.hive_keys) then (
                    select max(landed.first_load_id)
                    from ops.files as landed
                    where landed.digest = file.digest and landed.hive_keys = file.hive_keys
                        and landed.table_schema = %(schema)s and landed.table_name = %(name)s
                        and landed.records is not null
                ) end,
                %(load_id)s
            )
        from unnest(
            %(paths)s::text[], %(hive_keys)s::jsonb[], %(bytes)s::bigint[], %(modified_ns)s::bigint[],
            %(digests)s::text[], %(replaced)s::integer[]
        ) with ordinality as file (path, hive_keys, bytes, modified_ns, digest, replaced_file_id, position)
        left join lateral (
            select row(landed.digest, landed.hive_keys) as content
            from ops.files as landed
            where landed.path = file.path and landed.table_schema = %(schema)s and landed.table_name = %(name)s
                and landed.records is not null
            order by landed.first_load_id desc, landed.file_id desc
            limit 1
        ) as last on true
        order by position
        on conflict (table_schema, table_name, digest, hive_keys, coalesce(replaced_file_id, 0))
            where released_at is null and not refreshing do nothing
        returning path, file_id
        """,
        {
            "load_id": load_id,
            "schema": table.schema,
            "name": table.name,
            "refreshing": refreshing,
            "paths": [file.path for file in files],
            "hive_keys": [Jsonb(dict(file.file.hive_keys)) for file in files],
            "bytes": [file.file.bytes for file in files],
            "modified_ns": [file.file.modified_ns for file in files],
            "digests": [file.file.digest for file in files],
            "replaced": [file.replaced_file_id for file in files],
        },
    )
    return dict(rows.fetchall())


def take_files_away(connection: psycopg.Connection, table: RawTable, load_id: int, paths: Sequence[str]) -> int:
    """Delete what other loads hold of the paths, and release these files; return how many they were."""
    rows = connection.execute(
        """
        select file_id, load_id from ops.files
        where table_schema = %s and table_name = %s and path = any(%s) and load_id <> %s
            and released_at is null and records is not null and not refreshing
        """,
        [table.schema, table.name, list(paths), load_id],
    ).fetchall()
    if rows:
        file_ids, load_ids = [row[0] for row in rows], sorted({row[1] for row in rows})
        connection.execute(
            sql.SQL("delete from {} where _load_id = any(%s) and _file_id = any(%s)").format(table.identifier),
            [load_ids, file_ids],
        )
        # Last, because a dbt builder waits for it.
        lock_rows(connection, table)
        connection.execute("update ops.files set released_at = now() where file_id = any(%s)", [file_ids])
        connection.execute(
            """
            update ops.loads set records = (
                select coalesce(sum(files.records), 0)
                from ops.files
                where files.load_id = loads.load_id and released_at is null
            )
            where load_id = any(%s)
            """,
            [load_ids],
        )
        connection.execute("update ops.loads set replaces = true where load_id = %s", [load_id])
    return len(rows)


def delete_rows_of(connection: psycopg.Connection, table: RawTable, load_id: int, files: Sequence[LandingFile]) -> None:
    """Delete the rows that a load has landed of the files."""
    if files:
        connection.execute(
            sql.SQL("delete from {} where _load_id = %s and _file_id = any(%s)").format(table.identifier),
            [load_id, [file.file_id for file in files]],
        )


def release_files(connection: psycopg.Connection, failed: Sequence[LandingFile]) -> None:
    """Release the files that failed, with their errors."""
    connection.execute(
        """
        update ops.files set released_at = now(), error = failed.error
        from unnest(%s::integer[], %s::text[]) as failed (file_id, error)
        where files.file_id = failed.file_id
        """,
        [[file.file_id for file in failed], [str(file.error) for file in failed]],
    )


def count_files(connection: psycopg.Connection, load_id: int, files: Sequence[LandingFile]) -> None:
    """Keep what was landed and rejected of the files that did not fail."""
    landed = [file for file in files if file.error is None]
    connection.execute(
        """
        update ops.files
        set records = count.records, rejected = count.rejected, rewritten = count.rewritten
        from unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[])
            as count (file_id, records, rejected, rewritten)
        where files.file_id = count.file_id
        """,
        [
            [file.file_id for file in landed],
            [file.records for file in landed],
            [file.rejected for file in landed],
            [file.rewritten for file in landed],
        ],
    )
    connection.execute(
        """
        update ops.loads
        set files = %s, bytes = %s, records = %s, rejected = %s,
            columns_added = nullif(%s::text[], '{}'), columns_missing = nullif(%s::text[], '{}')
        where load_id = %s
        """,
        [
            len(landed),
            sum(file.file.bytes for file in landed),
            sum(file.records for file in landed),
            sum(file.rejected for file in landed),
            sorted({name for file in landed for name in file.added}),
            sorted({name for file in landed for name in file.missing}),
            load_id,
        ],
    )
