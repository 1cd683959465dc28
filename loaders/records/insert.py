"""Records from Python into a table that exists: COPY by default, INSERT ... ON CONFLICT where rows collide."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from loaders.errors import LoadError, ServerError, SettingError
from loaders.records.rows import Chunk, Fields, JsonColumns, RecordReader
from loaders.records.sending import Sender
from loaders.records.target_table import OnConflict, TargetTable

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

# What a connection string may say otherwise.
DEFAULTS: dict[str, Any] = {"connect_timeout": 10, "application_name": "ingot records"}


@dataclass(frozen=True)
class FailedChunk:
    """A chunk of which no record was inserted: the indexes of its records, counted from 0, and why."""

    records: range
    error: Exception

    def __str__(self) -> str:
        said = " ".join(str(self.error).split()) or type(self.error).__name__
        return f"records {self.records.start:,} to {self.records.stop - 1:,}: {said}"


@dataclass(frozen=True, kw_only=True)
class InsertResult:
    """What an insert_records did; durations in seconds.

    `records` were read, `inserted` is what the server counted: less than read where chunks failed, ON CONFLICT DO
    NOTHING left rows out, or a key was twice in a chunk that was upserted. A chunk's time runs from its connection to
    its commit; `concurrency` is how many tasks had one.
    """

    records: int = 0
    inserted: int = 0
    duration: float = 0.0
    chunk_size: int = 0
    total_chunks: int = 0
    successful_chunks: int = 0
    avg_chunk_time: float = 0.0
    concurrency: int = 0
    failed_chunks: tuple[FailedChunk, ...] = ()

    @property
    def throughput(self) -> float:
        """Records inserted a second."""
        return self.inserted / self.duration

    def raise_for_failures(self) -> None:
        """Raise LoadError, with the first failure's words, if a chunk failed."""
        if self.failed_chunks:
            first = self.failed_chunks[0]
            raise LoadError(
                f"{len(self.failed_chunks):,} of {self.total_chunks:,} chunks failed, first {first}. "
                "Correct those records and insert them again; the other chunks are in the table."
            ) from first.error


async def insert_records(
    conninfo_or_pool: "str | AsyncConnectionPool[Any]",
    table: str,
    records: Iterable[Any],
    *,
    chunk_size: int | None = None,
    max_tasks: int = 2,
    use_copy: bool = True,
    on_conflict: OnConflict | None = None,
    key: Sequence[str] | None = None,
) -> InsertResult:
    """Insert dicts, dataclasses or pydantic models into `table`, named as in SQL, a transaction a chunk.

    Fields are columns. A chunk that fails is left out whole and reported in the result. With `on_conflict`, once a
    chunk has a key that is there already, it and those after it go by a temporary table and ON CONFLICT; `key` names
    the columns of that key, by default the primary key's. `use_copy=False` goes by executemany. `chunk_size` is in
    records. Raise SettingError for an argument, RecordError for fields that the table does not have, ServerError
    where there is no connection.
    """
    if max_tasks < 1 or (chunk_size is not None and chunk_size < 1):
        raise SettingError(f"chunk_size is {chunk_size} and max_tasks {max_tasks}: set them to 1 or more.")
    if on_conflict not in (None, "nothing", "update"):
        raise SettingError(f"on_conflict is {on_conflict!r}: set it to 'nothing' or 'update', or leave it out.")
    began = time.perf_counter()
    reader = RecordReader(records)
    async with _pool(conninfo_or_pool, max_tasks) as pool:
        async with pool.connection() as connection:
            target = await TargetTable.read(connection, table)
        if reader.fields is None:
            return InsertResult(duration=time.perf_counter() - began)
        target.check(reader.fields)
        insertion = _Insertion(
            pool=pool,
            reader=reader,
            fields=reader.fields,
            json_columns=target.json_columns(reader.fields),
            chunk_size=chunk_size or reader.chunk_size(max_tasks),
            sender=Sender(target, reader.fields, on_conflict, key, use_copy=use_copy),
        )
        await insertion.run(max_tasks)
    return insertion.result(time.perf_counter() - began)


@dataclass(kw_only=True)
class _Insertion:
    """One call's chunks: tasks pull them from the reader, and each is one transaction."""

    pool: "AsyncConnectionPool[Any]"
    reader: RecordReader
    fields: Fields
    json_columns: JsonColumns
    chunk_size: int
    sender: Sender
    inserted: int = 0
    concurrency: int = 0
    seconds: list[float] = field(default_factory=list)
    failed: list[FailedChunk] = field(default_factory=list)

    async def run(self, max_tasks: int) -> None:
        """Insert every chunk; what ends the run early says what was inserted before."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(max_tasks, self.pool.max_size)):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
            error.add_note(f"{self.inserted:,} records in {len(self.seconds):,} chunks had been inserted before.")
            raise error from None

    def result(self, duration: float) -> InsertResult:
        """Return what was done in so many seconds."""
        successful = len(self.seconds)
        return InsertResult(
            records=self.reader.read,
            inserted=self.inserted,
            duration=duration,
            chunk_size=self.chunk_size,
            total_chunks=successful + len(self.failed),
            successful_chunks=successful,
            avg_chunk_time=sum(self.seconds) / successful if successful else 0.0,
            concurrency=self.concurrency,
            failed_chunks=tuple(sorted(self.failed, key=lambda chunk: chunk.records.start)),
        )

    async def _work(self) -> None:
        has_worked = False
        while (chunk := self.reader.next_chunk(self.chunk_size)) is not None:
            self.concurrency += not has_worked
            has_worked = True
            try:
                rows = chunk.rows(self.fields, self.json_columns)
            except Exception as error:  # whatever a record's own attributes raise
                self._fail(chunk, error)
                continue
            async with self.pool.connection() as connection:
                began = time.perf_counter()
                try:
                    inserted = await self.sender.send(connection, rows)
                except Exception as error:  # the server's, or a value's that psycopg cannot write
                    self._fail(chunk, error)
                else:
                    self.seconds.append(time.perf_counter() - began)
                    self.inserted += inserted

    def _fail(self, chunk: Chunk, error: Exception) -> None:
        # The traceback's frames hold the chunk's rows.
        self.failed.append(FailedChunk(chunk.indexes, error.with_traceback(None)))


@asynccontextmanager
async def _pool(
    conninfo_or_pool: "str | AsyncConnectionPool[Any]", size: int
) -> "AsyncIterator[AsyncConnectionPool[Any]]":
    """Lend the caller's pool, or one for this call."""
    from psycopg_pool import AsyncConnectionPool

    if isinstance(conninfo_or_pool, AsyncConnectionPool):
        yield conninfo_or_pool
        return
    if not isinstance(conninfo_or_pool, str):
        raise SettingError(
            f"conninfo_or_pool is {type(conninfo_or_pool).__name__}: give a connection string or an open "
            "psycopg_pool.AsyncConnectionPool."
        )
    try:
        conninfo = make_conninfo("", **(DEFAULTS | conninfo_to_dict(conninfo_or_pool)))
    except psycopg.ProgrammingError:
        # libpq's words quote a piece of the string, which may be of the password.
        raise SettingError(
            "The connection string cannot be read: write it as libpq does, 'host=... dbname=...'."
        ) from None
    try:
        # A pool that cannot connect tries on for its timeout, and does not say why.
        await (await psycopg.AsyncConnection.connect(conninfo)).close()
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        raise ServerError(
            f"No connection: {said.rstrip('.?')}. Check the connection string, and that the server is up."
        ) from error
    async with AsyncConnectionPool(conninfo, min_size=1, max_size=size, open=False) as pool:
        yield pool
