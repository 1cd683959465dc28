"""The ledger, schema ops: claiming, completing and undoing loads.

A load is one batch of files into one raw table. It is committed as `started`, which claims its files, then its rows
are copied in any number of transactions, and a last transaction makes it `complete`. Until then no reader sees it.
Who works on a load holds an advisory lock on it, in shared mode, in every session: a `started` load whose lock is
free has no living session left, not even one that is still committing its last COPY, and can be undone. The loads of a
full refresh stay `started` until all have landed; then one transaction makes them complete and discards the old ones.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import sql

from loaders.distribution import COUNT_SECONDS, wait_for_commits
from loaders.errors import LoadError
from loaders.landing_file import LandingFile
from loaders.ledger_files import (
    count_files,
    delete_rows_of,
    insert_files,
    keep_order,
    release_files,
    take_files_away,
)
from loaders.locks import lock_load, lock_rows, lock_table, orphaned_load, unlock_load
from loaders.raw_table import RawTable, raw_table_exists
from loaders.segments import retire_all_but, retire_segments, take_load_id

LoadStatus = Literal["started", "complete", "failed", "discarded", "pruned"]
# Below this, deleting rows is cheaper than making another segment.
WORTH_DROPPING_BYTES = 16 * 1024**2


@contextmanager
def _transaction(connection: psycopg.Connection) -> Iterator[None]:
    """Begin a transaction that psycopg.Rollback ends; psycopg lets that through where the connection is lost."""
    try:
        with connection.transaction():
            yield
    except psycopg.Rollback as error:
        raise psycopg.OperationalError("the connection was lost in a rollback") from error


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A started load: its id, the segment that its rows go into, its files."""

    load_id: int
    segment: RawTable
    files: list[LandingFile]


class Ledger:
    """The ledger of one raw table, over one autocommit connection."""

    def __init__(self, connection: psycopg.Connection, table: RawTable) -> None:
        self._connection = connection
        self._table = table

    def claim(self, files: Sequence[LandingFile], *, full_refresh: bool) -> Claim | None:
        """Commit a started load of those of the files that nobody else has claimed, and lock it; None if all were.

        Files get their ids in their order. LookupError if other loaders have used the segment up.
        """
        with _transaction(self._connection):
            load_id, segment = self._begin_load(full_refresh=full_refresh)
            file_ids = insert_files(self._connection, self._table, load_id, files, refreshing=full_refresh)
            if not file_ids:
                raise psycopg.Rollback
            claimed = [file for file in files if file.path in file_ids]
            for file in claimed:
                file.file_id = file_ids[file.path]
            self._connection.execute(
                "update ops.loads set files = %s, bytes = %s where load_id = %s",
                [len(claimed), sum(file.file.bytes for file in claimed), load_id],
            )
            # Before the commit that shows the load: nobody may find it started and unlocked.
            lock_load(self._connection, load_id)
            return Claim(load_id=load_id, segment=segment, files=claimed)
        return None

    def _begin_load(self, *, full_refresh: bool) -> tuple[int, RawTable]:
        taken = take_load_id(self._connection, self._table)
        if taken is None:
            raise LookupError(self._table)
        self._connection.execute(
            "insert into ops.loads (load_id, table_schema, table_name, full_refresh, files, bytes, loader) "
            "values (%s, %s, %s, %s, 0, 0, %s)",
            [taken[0], self._table.schema, self._table.name, full_refresh, f"{socket.gethostname()}:{os.getpid()}"],
        )
        return taken

    def complete(
        self, load_id: int, files: Sequence[LandingFile], *, replaces: bool = False, keeps_order: bool = False
    ) -> int:
        """Make a load complete, in a transaction of its own; the files that failed are released, their rows deleted.

        Where all have failed, so has the load. If it `replaces`, what earlier loads hold of the files' paths goes with
        the same commit, and if it `keeps_order`, their place in the order of versions stays; return of how many files.
        The commit is synchronous, so that it also makes the workers' asynchronous commits before it durable.
        """
        failed = [file for file in files if file.error is not None]
        replaced = 0
        with self._connection.transaction():
            started = self._connection.execute(
                "select from ops.loads where load_id = %s and status = 'started' for update", [load_id]
            )
            if started.rowcount != 1:
                raise LoadError(f"load {load_id} was undone by another loader. Load again.")
            if len(failed) < len(files):
                delete_rows_of(self._connection, self._table, load_id, failed)
                count_files(self._connection, load_id, files)
                self._connection.execute(
                    "update ops.loads set status = 'complete', finished_at = clock_timestamp() where load_id = %s",
                    [load_id],
                )
            else:
                self._delete_rows([load_id], WORTH_DROPPING_BYTES)
                self._end([load_id], "failed", " ".join(str(files[0].error).split()))
            release_files(self._connection, failed)
            if keeps_order:
                keep_order(self._connection, self._table, load_id)
            if replaces:
                replaced = take_files_away(self._connection, self._table, load_id, [file.path for file in files])
        unlock_load(self._connection, load_id)
        return replaced

    def remove_files(self, paths: Sequence[str]) -> int:
        """Take the rows of paths away, by a complete load of no files; return how many files there were."""
        with _transaction(self._connection):
            load_id, _ = self._begin_load(full_refresh=False)
            self._connection.execute(
                "update ops.loads set status = 'complete', finished_at = clock_timestamp(), records = 0, rejected = 0 "
                "where load_id = %s",
                [load_id],
            )
            removed = take_files_away(self._connection, self._table, load_id, paths)
            if not removed:
                raise psycopg.Rollback
        return removed

    def complete_refresh(self, load_ids: list[int]) -> None:
        """Make the loads of a full refresh complete, and discard all others: a change of the ledger only."""
        key = [self._table.schema, self._table.name]
        with self._connection.transaction():
            lock_rows(self._connection, self._table)
            old = self._connection.execute(
                "select load_id from ops.loads "
                "where table_schema = %s and table_name = %s and status in ('complete', 'pruned')",
                key,
            ).fetchall()
            self._end([load_id for (load_id,) in old], "discarded", "full refresh")
            done = self._connection.execute(
                "update ops.loads set status = 'complete', finished_at = clock_timestamp(), replaces = %s "
                "where load_id = any(%s) and status = 'started'",
                [bool(old), load_ids],
            )
            if done.rowcount != len(load_ids):
                raise LoadError(f"{self._table}: the full refresh was undone by another loader. Try again.")
            self._connection.execute("update ops.files set refreshing = false where load_id = any(%s)", [load_ids])
            retire_all_but(self._connection, self._table, load_ids)
        for load_id in load_ids:
            unlock_load(self._connection, load_id)

    def prune(self, load_ids: list[int], *, min_bytes: int) -> None:
        """Take the rows of complete loads away, and keep their files claimed.

        Segments of at least `min_bytes` that hold nothing else are retired, of others the rows are deleted.
        """
        with self._connection.transaction():
            self._delete_rows(load_ids, min_bytes)
            # Last, because a dbt builder waits for it.
            lock_rows(self._connection, self._table)
            self._connection.execute(
                "update ops.loads set status = 'pruned' where load_id = any(%s) and status = 'complete'", [load_ids]
            )

    def undo(self, load_ids: list[int], error: str, *, full_refresh: bool, seconds: float = COUNT_SECONDS) -> None:
        """Delete what has landed of loads, release their files and end them as failed.

        On a cluster it waits for that many seconds, at most, for what a node that crashed has still to commit; if that
        takes longer, LoadError, and nothing is undone.
        """
        wait_for_commits(self._connection, seconds=seconds)
        with self._connection.transaction():
            # An interrupt may come when they are complete already.
            started = self._connection.execute(
                "select load_id from ops.loads where load_id = any(%s) and status = 'started' for update", [load_ids]
            )
            load_ids = [load_id for (load_id,) in started]
            # A full refresh's segments are its own.
            self._delete_rows(load_ids, 0 if full_refresh else WORTH_DROPPING_BYTES)
            self._end(load_ids, "failed", error)

    def undo_interrupted(self) -> list[int]:
        """Undo the started loads that no living session works on; return their ids."""
        started = (
            "select load_id, full_refresh from ops.loads "
            "where table_schema = %s and table_name = %s and status = 'started'"
        )
        key = [self._table.schema, self._table.name]
        with ExitStack() as locks:
            rows = self._connection.execute(started, key).fetchall()
            orphans = {i for i, _ in rows if locks.enter_context(orphaned_load(self._connection, i))}
            # Its loader may have ended it before the lock was had.
            still: dict[int, bool] = dict(self._connection.execute(started, key).fetchall()) if orphans else {}
            for full_refresh in (False, True):
                undone = sorted(i for i in orphans if still.get(i) is full_refresh)
                if undone:
                    error = "interrupted: its loader ended before the load did"
                    self.undo(undone, error, full_refresh=full_refresh)
        return sorted(orphans & still.keys())

    def discard(self, load_id: int) -> int:
        """Delete a complete load's rows and release its files; return how many rows it had."""
        with lock_table(self._connection, self._table, alone=True), self._connection.transaction():
            row = self._connection.execute("select records from ops.loads where load_id = %s", [load_id]).fetchone()
            self._delete_rows([load_id], WORTH_DROPPING_BYTES)
            # Last, because a dbt builder waits for it.
            lock_rows(self._connection, self._table)
            self._end([load_id], "discarded", "discarded by hand")
            return 0 if row is None else int(row[0])

    def _delete_rows(self, load_ids: list[int], min_bytes: int) -> None:
        """Delete the rows of loads; where their segment holds nothing else, and is not small, retire it instead."""
        if not raw_table_exists(self._connection, self._table):
            return
        kept = retire_segments(self._connection, self._table, load_ids, min_bytes=min_bytes)
        if kept:
            self._connection.execute(
                sql.SQL("delete from {} where _load_id = any(%s)").format(self._table.identifier), [kept]
            )

    def _end(self, load_ids: list[int], status: LoadStatus, error: str) -> None:
        # What failed has landed nothing: it does not count as a delivery before the next one.
        counts = ", records = null, rejected = null" if status == "failed" else ""
        self._connection.execute(
            f"update ops.files set released_at = now(){counts} "
            "where load_id = any(%s) and released_at is null".encode(),
            [load_ids],
        )
        self._connection.execute(
            f"update ops.loads set status = %s, finished_at = clock_timestamp(), error = %s{counts} "
            "where load_id = any(%s)".encode(),
            [status, error, load_ids],
        )
