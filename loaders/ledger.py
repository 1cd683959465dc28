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

LoadStatus = Literal["started", "complete", "failed", "discarded"]

# The first of an advisory lock's two numbers; the second is a load's id, or a hash of a table's name.
LOCK_LOAD = 0x49_4E_47_01
LOCK_TABLE = 0x49_4E_47_02

SCHEMA = Path(__file__).with_name("ledger.sql")


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A raw table: staging.people__persons."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class FileIdentity:
    """What the ledger knows a file by: its path and its hive keys, size and time of change, its content's digest."""

    path: str
    hive_keys: dict[str, str]
    bytes: int
    modified_ns: int
    digest: str


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
    table_name: str
    status: LoadStatus
    started_at: datetime
    finished_at: datetime | None
    files: int
    bytes: int
    records: int | None
    rejected: int | None
    error: str | None


@dataclass(frozen=True)
class RejectedRow:
    """A record that COPY refused, where it stands and why."""

    load_id: int
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
            self._connection.execute(SCHEMA.read_bytes())

    def exists(self) -> bool:
        """Tell whether the ledger has been created."""
        return self._connection.execute("select to_regclass('ops.applied_loads') is not null").fetchone() == (True,)

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
            f"select pg_try_advisory_lock{shared}(%s, hashtext(%s))", [LOCK_TABLE, str(table)]
        ).fetchone()
        if row != (True,):
            raise LoadError(f"{table}: another loader is at work on it. Wait for it to end, then try again.")
        try:
            yield
        finally:
            if not self._connection.closed:
                self._connection.execute(
                    f"select pg_advisory_unlock{shared}(%s, hashtext(%s))", [LOCK_TABLE, str(table)]
                )

    def known_files(self, table: RawTable) -> list[FileIdentity]:
        """Return the files claimed by a started or complete load of the table."""
        rows = self._connection.execute(
            "select path, hive_keys, bytes, modified_ns, digest from ops.files "
            "where table_name = %s and released_at is null",
            [table.name],
        )
        return [FileIdentity(path=p, hive_keys=h, bytes=b, modified_ns=m, digest=d) for p, h, b, m, d in rows]

    def claim(self, table: RawTable, files: Sequence[FileIdentity], *, is_unlogged: bool) -> Claim | None:
        """Commit a started load of those of the files that nobody else claimed, and lock it; None if all were taken.

        File ids follow the order of `files`.
        """
        with self._connection.transaction():
            load_id = self._insert_load(table, files, is_unlogged=is_unlogged)
            rows = self._connection.execute(
                """
                insert into ops.files (load_id, table_name, path, hive_keys, bytes, modified_ns, digest)
                select %s, %s, path, hive_keys, bytes, modified_ns, digest
                from unnest(%s::text[], %s::jsonb[], %s::bigint[], %s::bigint[], %s::text[])
                    with ordinality as file (path, hive_keys, bytes, modified_ns, digest, position)
                order by position
                on conflict (table_name, digest) where released_at is null do nothing
                returning path, file_id, bytes
                """,
                [
                    load_id,
                    table.name,
                    [file.path for file in files],
                    [Jsonb(file.hive_keys) for file in files],
                    [file.bytes for file in files],
                    [file.modified_ns for file in files],
                    [file.digest for file in files],
                ],
            ).fetchall()
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

    def _insert_load(self, table: RawTable, files: Sequence[FileIdentity], *, is_unlogged: bool) -> int:
        row = self._connection.execute(
            """
            insert into ops.loads (table_name, files, bytes, loader, epoch)
            select %s, %s, %s, %s, case when %s then (select epoch from ops.unlogged_epoch) end
            returning load_id
            """,
            [
                table.name,
                len(files),
                sum(file.bytes for file in files),
                f"{socket.gethostname()}:{os.getpid()}",
                is_unlogged,
            ],
        ).fetchone()
        assert row is not None  # noqa: S101 - insert .. returning returns a row or raises
        return int(row[0])

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
                    and (epoch is null or epoch in (select unlogged_epoch.epoch from ops.unlogged_epoch))
                """,
                [sum(c.records for c in counts), sum(c.rejected for c in counts), load_id],
            )
            if done.rowcount != 1:
                raise LoadError(f"load {load_id} was undone, or a crash emptied its unlogged table. Load again.")
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
            "select load_id from ops.loads where table_name = %s and status = 'started' order by load_id", [table.name]
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

    def discard_lost(self, table: RawTable) -> list[int]:
        """Discard the loads whose rows a crash of the server has emptied, so that they land again; return their ids."""
        with self._connection.transaction():
            rows = self._connection.execute(
                "select load_id from ops.lost_loads where table_name = %s order by load_id", [table.name]
            ).fetchall()
            for (load_id,) in rows:
                self._end(load_id, "discarded", "lost in a crash of the server: its table is unlogged")
        return [load_id for (load_id,) in rows]

    def discard_all(self, table: RawTable) -> None:
        """Truncate the raw table and discard every complete load of it, in one transaction."""
        with self._connection.transaction():
            if self._table_exists(table):
                self._connection.execute(sql.SQL("truncate {}").format(table.identifier))
            for (load_id,) in self._connection.execute(
                "select load_id from ops.loads where table_name = %s and status = 'complete'", [table.name]
            ).fetchall():
                self._end(load_id, "discarded", "full refresh")

    def load(self, load_id: int) -> LoadRow | None:
        """Return one load."""
        return next(iter(self._loads("where load_id = %s", [load_id])), None)

    def recent_loads(self, limit: int) -> list[LoadRow]:
        """Return the newest loads, newest first."""
        return self._loads("order by load_id desc limit %s", [limit])

    def rejects(self, load_id: int | None, limit: int) -> list[RejectedRow]:
        """Return rejected rows in the files' order, of one load or of all, the newest load first."""
        rows = self._connection.execute(
            """
            select load_id, table_name, path, record_number, byte_offset, reason, raw
            from ops.rejected_rows
            inner join ops.files using (load_id, file_id)
            where %(load_id)s::integer is null or load_id = %(load_id)s
            order by load_id desc, file_id, record_number
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
            "select load_id, table_name, status, started_at, finished_at, files, bytes, records, rejected, error "
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
