"""The ledger, schema ops: which loads there are, which files they claimed, which records they refused.

A load is one batch of files into one raw table. It is committed as `started`, which claims its files, then its rows
are copied in any number of transactions, and a last transaction makes it `complete`. Until then no reader sees it.
Who works on a load holds an advisory lock on it, in shared mode, in every session: a `started` load whose lock is
free has no living session left, not even one that is still committing its last COPY, and can be undone.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders.errors import LoadError
from loaders.raw_table import RawTable
from loaders.segments import take_load_id

LoadStatus = Literal["started", "complete", "failed", "discarded"]

# The first of an advisory lock's two numbers; the second is a load's id, or a hash of a table's name.
LOCK_LOAD = 0x49_4E_47_01
LOCK_TABLE = 0x49_4E_47_02

SCHEMA = Path(__file__).with_name("ledger.sql")


@dataclass(frozen=True, kw_only=True)
class FileIdentity:
    """What the ledger knows a file by: its path and its hive keys, size and time of change, its content's digest.

    `replaced_file_id` is the file whose content stood at the path in between, where the content was landed before.
    """

    path: str
    hive_keys: dict[str, str]
    bytes: int
    modified_ns: int
    digest: str
    replaced_file_id: int | None


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """A file that a started or complete load holds; `content` is its digest with its hive keys."""

    file_id: int
    path: str
    bytes: int
    modified_ns: int
    content: tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A started load, and the file ids of the files it got, by path."""

    load_id: int
    file_ids: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class FileCount:
    """What became of one file: records landed and records rejected."""

    file_id: int
    records: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class LoadRow:
    """A row of ops.loads, as `status` shows it."""

    load_id: int
    table_schema: str
    table_name: str
    status: LoadStatus
    started_at: datetime
    finished_at: datetime | None
    files: int
    bytes: int
    records: int | None
    rejected: int | None
    error: str | None

    @property
    def table(self) -> RawTable:
        """The raw table that the load is of."""
        return RawTable(schema=self.table_schema, name=self.table_name)


@dataclass(frozen=True)
class RejectedRow:
    """A record that COPY refused, where it stands and why."""

    load_id: int
    table_schema: str
    table_name: str
    path: str
    record_number: int
    byte_offset: int
    reason: str
    raw: bytes


class Ledger:
    """The ledger, over one autocommit connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def create(self) -> None:
        """Create the ledger where it is missing."""
        with self.exclusive_ddl():
            if not self.exists():
                self._connection.execute(SCHEMA.read_bytes())

    def exists(self) -> bool:
        """Tell whether the ledger has been created."""
        return self._connection.execute("select to_regclass('ops.ledger_version') is not null").fetchone() == (True,)

    @contextmanager
    def exclusive_ddl(self) -> Iterator[psycopg.Connection]:
        """Run DDL in a transaction that one loader holds at a time: `if not exists` alone races with itself."""
        with self._connection.transaction():
            self._connection.execute("select pg_advisory_xact_lock(%s, 0)", [LOCK_TABLE])
            yield self._connection

    @contextmanager
    def use_table(self, table: RawTable, *, alone: bool) -> Iterator[None]:
        """Hold the table against a loader that wants it alone, or `alone` against every loader; LoadError if taken."""
        shared = "" if alone else "_shared"
        row = self._connection.execute(
            f"select pg_try_advisory_lock{shared}(%s, hashtext(format('%%I.%%I', %s::text, %s::text)))",
            [LOCK_TABLE, table.schema, table.name],
        ).fetchone()
        if row != (True,):
            raise LoadError(f"{table}: another loader is at work on it. Wait for it to end, then try again.")
        try:
            yield
        finally:
            if not self._connection.closed:
                self._connection.execute(
                    f"select pg_advisory_unlock{shared}(%s, hashtext(format('%%I.%%I', %s::text, %s::text)))",
                    [LOCK_TABLE, table.schema, table.name],
                )

    def known_files(self, table: RawTable) -> list[KnownFile]:
        """Return the files claimed by a started or complete load of the table, the last one of a path last."""
        rows = self._connection.execute(
            """
            select file_id, path, hive_keys, bytes, modified_ns, digest
            from ops.files
            where table_schema = %s and table_name = %s and released_at is null and not refreshing
            order by first_load_id, file_id
            """,
            [table.schema, table.name],
        )
        return [
            KnownFile(file_id=i, path=p, bytes=b, modified_ns=m, content=(d, frozenset(h.items())))
            for i, p, h, b, m, d in rows
        ]

    def claim(self, table: RawTable, files: Sequence[FileIdentity]) -> Claim | None:
        """Commit a started load of those of the files that nobody else claimed, and lock it; None if all were taken.

        File ids follow the order of `files`.
        """
        with self._connection.transaction():
            load_id = take_load_id(self._connection, table)
            if load_id is None:
                raise LoadError(f"{table}: other loaders have filled its segment. Load again.")
            self._insert_load(table, load_id)
            rows = self._insert_files(table, load_id, files)
            if not rows:
                raise psycopg.Rollback
            self._connection.execute(
                "update ops.loads set files = %s, bytes = %s where load_id = %s",
                [len(rows), sum(row[2] for row in rows), load_id],
            )
            # Before the commit that shows the load: nobody may find it started and unlocked.
            hold_load(self._connection, load_id)
            return Claim(load_id=load_id, file_ids={row[0]: row[1] for row in rows})
        return None

    def _insert_load(self, table: RawTable, load_id: int) -> None:
        self._connection.execute(
            "insert into ops.loads (load_id, table_schema, table_name, files, bytes, loader) "
            "values (%s, %s, %s, 0, 0, %s)",
            [load_id, table.schema, table.name, f"{socket.gethostname()}:{os.getpid()}"],
        )

    def _insert_files(self, table: RawTable, load_id: int, files: Sequence[FileIdentity]) -> list[tuple[str, int, int]]:
        """Insert the files that nobody else holds; return path, file id and size of each.

        A content keeps the load in which it was delivered first, unless another one was landed at its path since.
        """
        return self._connection.execute(
            """
            insert into ops.files (
                load_id, table_schema, table_name, path, hive_keys, bytes, modified_ns, digest, replaced_file_id,
                first_load_id
            )
            select
                %(load_id)s, %(schema)s, %(name)s, path, hive_keys, bytes, modified_ns, digest, replaced_file_id,
                coalesce(
                    case when last_of_path.content is null or last_of_path.content = row(digest, hive_keys) then (
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
                select (landed.digest, landed.hive_keys) as content
                from ops.files as landed
                where landed.path = file.path and landed.table_schema = %(schema)s and landed.table_name = %(name)s
                    and landed.records is not null
                order by landed.first_load_id desc, landed.file_id desc
                limit 1
            ) as last_of_path on true
            order by position
            on conflict (table_schema, table_name, digest, hive_keys, coalesce(replaced_file_id, 0))
                where released_at is null and not refreshing do nothing
            returning path, file_id, bytes
            """,
            {
                "load_id": load_id,
                "schema": table.schema,
                "name": table.name,
                "paths": [file.path for file in files],
                "hive_keys": [Jsonb(file.hive_keys) for file in files],
                "bytes": [file.bytes for file in files],
                "modified_ns": [file.modified_ns for file in files],
                "digests": [file.digest for file in files],
                "replaced": [file.replaced_file_id for file in files],
            },
        ).fetchall()

    def complete(self, load_id: int, counts: Sequence[FileCount]) -> None:
        """Make a load complete, in a transaction of its own.

        The commit is synchronous, so that it also makes the workers' asynchronous commits before it durable.
        """
        with self._connection.transaction():
            self._connection.execute(
                """
                update ops.files set records = count.records, rejected = count.rejected
                from unnest(%s::integer[], %s::bigint[], %s::bigint[]) as count (file_id, records, rejected)
                where files.file_id = count.file_id
                """,
                [[c.file_id for c in counts], [c.records for c in counts], [c.rejected for c in counts]],
            )
            done = self._connection.execute(
                """
                update ops.loads set status = 'complete', finished_at = clock_timestamp(), records = %s, rejected = %s
                where load_id = %s and status = 'started'
                """,
                [sum(c.records for c in counts), sum(c.rejected for c in counts), load_id],
            )
            if done.rowcount != 1:
                raise LoadError(f"load {load_id} was undone by another. Load again.")
        release_load(self._connection, load_id)

    def undo(self, table: RawTable, load_id: int, status: LoadStatus, error: str) -> int:
        """Delete a load's rows, release its files and end it as `status`; return how many rows were deleted."""
        with self._connection.transaction():
            deleted = 0
            if self._table_exists(table):
                deleted = self._connection.execute(
                    sql.SQL("delete from {} where _load_id = %s").format(table.identifier), [load_id]
                ).rowcount
            self._end(load_id, status, error)
        return deleted

    def undo_interrupted(self, table: RawTable) -> list[int]:
        """Undo the started loads of the table that no living session works on; return their ids."""
        rows = self._connection.execute(
            "select load_id from ops.loads where table_schema = %s and table_name = %s "
            "and status = 'started' order by load_id",
            [table.schema, table.name],
        ).fetchall()
        undone: list[int] = []
        for (load_id,) in rows:
            locked = self._connection.execute("select pg_try_advisory_lock(%s, %s)", [LOCK_LOAD, load_id]).fetchone()
            if locked != (True,):
                continue
            try:
                still = self._connection.execute(
                    "select 1 from ops.loads where load_id = %s and status = 'started'", [load_id]
                ).fetchone()
                if still is not None:
                    self.undo(table, load_id, "failed", "interrupted: its loader ended before the load did")
                    undone.append(load_id)
            finally:
                self._connection.execute("select pg_advisory_unlock(%s, %s)", [LOCK_LOAD, load_id])
        return undone

    def discard_all(self, table: RawTable) -> None:
        """Truncate the raw table and discard every complete load of it, in one transaction."""
        with self._connection.transaction():
            if self._table_exists(table):
                self._connection.execute(sql.SQL("truncate {}").format(table.identifier))
            for (load_id,) in self._connection.execute(
                "select load_id from ops.loads where table_schema = %s and table_name = %s and status = 'complete'",
                [table.schema, table.name],
            ).fetchall():
                self._end(load_id, "discarded", "full refresh")

    def load(self, load_id: int) -> LoadRow | None:
        """Return one load."""
        return next(iter(self._loads("where load_id = %s", [load_id])), None)

    def recent_loads(self, limit: int) -> list[LoadRow]:
        """Return the newest loads, newest first."""
        return self._loads("order by started_at desc, load_id desc limit %s", [limit])

    def rejects(self, load_id: int | None, limit: int) -> list[RejectedRow]:
        """Return rejected rows in the files' order, of one load or of all, the newest load first."""
        rows = self._connection.execute(
            """
            select load_id, table_schema, table_name, path, record_number, byte_offset, reason, raw
            from ops.rejected_rows
            inner join ops.files using (load_id, file_id)
            inner join ops.loads using (load_id, table_schema, table_name)
            where %(load_id)s::integer is null or load_id = %(load_id)s
            order by started_at desc, load_id desc, file_id, record_number
            limit %(limit)s
            """,
            {"load_id": load_id, "limit": limit},
        )
        return [RejectedRow(*row) for row in rows]

    def discard(self, table: RawTable, load_id: int) -> int:
        """Delete a complete load's rows and release its files; return how many rows were deleted."""
        with self.use_table(table, alone=True):
            return self.undo(table, load_id, "discarded", "discarded by hand")

    def models_that_applied(self, load_id: int) -> list[str]:
        """Return the dbt models that have read a load."""
        rows = self._connection.execute(
            "select model from ops.applied_loads where load_id = %s order by model", [load_id]
        )
        return [row[0] for row in rows]

    def _loads(self, clause: str, parameters: list[int]) -> list[LoadRow]:
        rows = self._connection.execute(
            "select load_id, table_schema, table_name, status, started_at, finished_at, "
            "files, bytes, records, rejected, error "
            f"from ops.loads {clause}",
            parameters,
        )
        names = [column.name for column in rows.description or []]
        return [LoadRow(**dict(zip(names, row, strict=True))) for row in rows]

    def _end(self, load_id: int, status: LoadStatus, error: str) -> None:
        self._connection.execute(
            "update ops.files set released_at = now() where load_id = %s and released_at is null", [load_id]
        )
        self._connection.execute(
            "update ops.loads set status = %s, finished_at = clock_timestamp(), error = %s where load_id = %s",
            [status, error, load_id],
        )

    def _table_exists(self, table: RawTable) -> bool:
        row = self._connection.execute(
            "select to_regclass(format('%%I.%%I', %s::text, %s::text)) is not null", [table.schema, table.name]
        ).fetchone()
        return row == (True,)


def hold_load(connection: psycopg.Connection, load_id: int) -> None:
    """Hold the load's lock in this session, beside its other holders."""
    connection.execute("select pg_advisory_lock_shared(%s, %s)", [LOCK_LOAD, load_id])


def release_load(connection: psycopg.Connection, load_id: int) -> None:
    """Let go of the load's lock in this session."""
    connection.execute("select pg_advisory_unlock_shared(%s, %s)", [LOCK_LOAD, load_id])
