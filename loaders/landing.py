"""Landing: the files of one load, copied over several connections at once.

Workers pull. Each takes a file that nobody has opened; when there is none left, it helps with one that is open. So
many small files are read and decompressed in parallel, one big file is shared, and memory holds one batch a worker:
there is no queue that could grow.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import psycopg

from loaders.blocks import (
    BLOCK_BYTES,
    BadRecord,
    Block,
    BlockReader,
    halves,
    number_records,
    prefix_records,
    with_plain_line_ends,
)
from loaders.bronze import BronzeFile
from loaders.connection import Address, connect
from loaders.errors import LoadError, TooManyRejects
from loaders.ledger import FileCount, hold_load
from loaders.progress import Progress
from loaders.raw_table import RawTable

# One COPY sends about this much. Less costs more COPYs (1 MiB: 1.2 times the time); more gains nothing.
COPY_BYTES = 4 * 1024**2
CANCEL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class LandingFile:
    """A claimed file and how it is copied.

    `prefix` is the lineage that goes before every record; where the record's number does, too, `number_delimiter` ends
    the number. `quote` is the format's.
    """

    file: BronzeFile
    file_id: int
    statement: bytes
    prefix: bytes
    number_delimiter: bytes | None
    quote: bytes | None
    has_header: bool

    def with_lineage(self, block: Block) -> bytes:
        """Return the block's data with its lineage before every record."""
        if self.number_delimiter is None:
            quote = self.quote if block.has_quoted_newlines else None
            return block.prefixed or prefix_records(block.data, self.prefix, quote)
        return number_records(block, self.prefix, self.number_delimiter, self.quote)


@dataclass
class _OpenFile:
    """A file being landed; `lock` guards reading, so that workers can share it."""

    landing: LandingFile
    lock: threading.Lock = field(default_factory=threading.Lock)
    pieces: Generator[tuple[Block | BadRecord, int]] | None = None
    exhausted: bool = False

    def next(self) -> tuple[Block | BadRecord, int] | None:
        """Return the next piece of the file and how many stored bytes it took, None at the end."""
        with self.lock:
            if self.pieces is None:
                self.pieces = _read(self.landing)
            piece = next(self.pieces, None)
            self.exhausted = piece is None
            return piece

    def close(self) -> None:
        """Close the file where it was not read to its end."""
        if self.pieces is not None:
            self.pieces.close()


@dataclass(frozen=True)
class _Segment:
    """A block and the file that it is from."""

    landing: LandingFile
    block: Block


class _Feed:
    """What one worker lands, read one piece ahead.

    The piece behind a COPY's last is cut before that COPY ends, while the server still works on what it was sent.
    """

    def __init__(self, take_file: Callable[[], _OpenFile | None], progress: Progress) -> None:
        self._take_file = take_file
        self._progress = progress
        self._held: _OpenFile | None = None
        self.ahead: tuple[LandingFile, Block | BadRecord] | None = None
        self.advance()

    def advance(self) -> None:
        """Read the next piece, of the file at hand or of another."""
        while (held := self._held or self._take_file()) is not None:
            piece = held.next()
            if piece is not None:
                content, stored_bytes = piece
                self._progress.advance(stored_bytes)
                self._held, self.ahead = held, (held.landing, content)
                return
            held.landing.file.check_unchanged()
            self._held = None
        self.ahead = None

    def blocks(self, sent: list[_Segment]) -> Iterator[_Segment]:
        """Yield the blocks of one COPY, of one file or of several with equal columns; they are kept in `sent`."""
        size = 0
        while size < COPY_BYTES and self.ahead is not None:
            landing, content = self.ahead
            if isinstance(content, BadRecord) or (sent and landing.statement != sent[0].landing.statement):
                return
            # Kept as it was cut: twice the memory would buy nothing but for a record that COPY refuses.
            sent.append(_Segment(landing, replace(content, prefixed=b"")))
            yield _Segment(landing, content)
            size += len(content.data)
            self.advance()


class Landing:
    """Copy the files of one load; `run` returns when every record is landed or rejected."""

    def __init__(
        self,
        *,
        address: Address,
        table: RawTable,
        load_id: int,
        files: Sequence[LandingFile],
        workers: int,
        max_rejects: int,
        progress: Progress,
    ) -> None:
        self._address = address
        self._table = table
        self._load_id = load_id
        self._workers = workers
        self._max_rejects = max_rejects
        self._progress = progress
        self._lock = threading.Lock()
        self._unopened = list(reversed(files))
        self._open: list[_OpenFile] = []
        self._records = dict.fromkeys((file.file_id for file in files), 0)
        self._rejected = dict.fromkeys((file.file_id for file in files), 0)
        self._connections: list[psycopg.Connection] = []
        self._stop = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> list[FileCount]:
        """Land the files; on a failure or an interrupt stop every worker, then raise what came first."""
        threads = [threading.Thread(target=self._work, name=f"ingot-{number}") for number in range(self._workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._stop.set()
            self._cancel()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            raise
        finally:
            for file in self._open:
                file.close()
        if self._error is not None:
            raise self._error
        return [
            FileCount(file_id=file_id, records=records, rejected=self._rejected[file_id])
            for file_id, records in self._records.items()
        ]

    def _work(self) -> None:
        try:
            with connect(self._address, application_name="ingot load") as connection:
                with self._lock:
                    self._connections.append(connection)
                hold_load(connection, self._load_id)
                # Nothing waits for these commits: the one that completes the load is synchronous, and flushes them.
                connection.execute("set synchronous_commit = off")
                feed = _Feed(self._take_file, self._progress)
                while feed.ahead is not None and not self._stop.is_set():
                    landing, content = feed.ahead
                    if isinstance(content, BadRecord):
                        self._reject(connection, landing, content, None)
                        feed.advance()
                    else:
                        self._copy(connection, landing, feed)
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._stop.set()

    def _cancel(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            if not connection.closed:
                connection.cancel_safe(timeout=CANCEL_SECONDS)

    def _take_file(self) -> _OpenFile | None:
        with self._lock:
            if self._unopened:
                self._open.append(_OpenFile(self._unopened.pop()))
                return self._open[-1]
            self._open = [file for file in self._open if not file.exhausted]
            return self._open[0] if self._open else None

    def _copy(self, connection: psycopg.Connection, landing: LandingFile, feed: _Feed) -> None:
        """Copy the feed's next blocks in one COPY; where it refuses a record, find that record and land the others."""
        segments: list[_Segment] = []
        try:
            self._send(connection, landing, feed.blocks(segments))
        except psycopg.Error as error:
            if not _blames_data(error):
                raise
            for segment in segments:
                self._land_records(connection, segment)
        else:
            for segment in segments:
                self._landed(segment.landing, segment.block.records)

    def _land_records(self, connection: psycopg.Connection, segment: _Segment) -> None:
        """Land the records of a segment, halving what COPY refuses until the refused records stand alone."""
        landing = segment.landing
        pending = [segment.block]
        while pending:
            block = pending.pop()
            try:
                self._send(connection, landing, [_Segment(landing, with_plain_line_ends(block, landing.quote))])
            except psycopg.Error as error:
                if not _blames_data(error):
                    raise
                if block.records > 1:
                    first, second = halves(block, landing.quote)
                    pending += [second, first]
                    continue
                reason = error.diag.message_primary or str(error)
                bad = BadRecord(block.data, block.offset, block.first_record, reason)
                self._reject(connection, landing, bad, error.sqlstate)
            else:
                self._landed(landing, block.records)

    def _send(self, connection: psycopg.Connection, landing: LandingFile, segments: Iterable[_Segment]) -> None:
        """Run one COPY, which is one transaction, and check that it landed as many rows as records were sent."""
        records = 0
        with connection.cursor() as cursor:
            with cursor.copy(landing.statement) as copy:
                for segment in segments:
                    copy.write(segment.landing.with_lineage(segment.block))
                    records += segment.block.records
            if cursor.rowcount != records:
                raise LoadError(
                    f"{self._table}: {landing.file.path}: {records} records were sent and {cursor.rowcount} rows "
                    "landed. Nothing of the load is kept; please report this."
                )

    def _landed(self, landing: LandingFile, records: int) -> None:
        with self._lock:
            self._records[landing.file_id] += records
        self._progress.landed(records)

    def _reject(
        self, connection: psycopg.Connection, landing: LandingFile, bad: BadRecord, sqlstate: str | None
    ) -> None:
        connection.execute(
            """
            insert into ops.rejected_rows (load_id, file_id, record_number, byte_offset, sqlstate, reason, raw)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [self._load_id, landing.file_id, bad.record, bad.offset, sqlstate, bad.reason, bad.raw],
        )
        with self._lock:
            self._rejected[landing.file_id] += 1
            rejected = sum(self._rejected.values())
        if rejected > self._max_rejects:
            limit = f"{rejected} rejected records, --max-rejects is {self._max_rejects}. " if self._max_rejects else ""
            raise TooManyRejects(
                f"{self._table}: {landing.file.path}, record {bad.record} (byte {bad.offset}): {bad.reason}. {limit}"
                f"Nothing of load {self._load_id} is visible. Mend the file, or raise --max-rejects; "
                f"`python -m loaders rejects {self._load_id}` shows the record."
            )


def _read(landing: LandingFile) -> Generator[tuple[Block | BadRecord, int]]:
    """Yield the pieces of a file, and the stored bytes that each took."""
    with closing(landing.file.open()) as stream:
        reader = BlockReader(stream, quote=landing.quote, prefix=landing.prefix, block_bytes=BLOCK_BYTES)
        if landing.has_header:
            reader.read_header()
        else:
            reader.skip_byte_order_mark()
        position = 0
        for piece in reader:
            yield piece, stream.position - position
            position = stream.position


def _blames_data(error: psycopg.Error) -> bool:
    """Tell whether a COPY failed for what a record holds: SQLSTATE class 22 (data), 54 (program limits)."""
    return (error.sqlstate or "")[:2] in ("22", "54")
