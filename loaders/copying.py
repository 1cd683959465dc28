"""Copying: what one worker does with the pieces that it is dealt."""

import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import psycopg
from psycopg import errors

from loaders.block import BadRecord, Block
from loaders.dealing import Feed
from loaders.errors import LoadError, TooManyRejects
from loaders.progress import Progress
from loaders.raw_table import RawTable


class Copier:
    """Copy the pieces of a feed over one connection, until there are none or `stop` is set."""

    def __init__(
        self,
        connection: psycopg.Connection,
        feed: Feed,
        *,
        table: RawTable,
        load_id: int,
        max_rejects: int,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._feed = feed
        self._table = table
        self._load_id = load_id
        self._max_rejects = max_rejects
        self._stop = stop
        self._progress = progress

    def run(self) -> None:
        """Land or reject every record that the feed deals."""
        while (piece := self._feed.ahead) is not None and not self._stop.is_set():
            if isinstance(piece, BadRecord):
                self._reject(piece, None)
                self._feed.advance()
            else:
                self._copy()

    def _copy(self) -> None:
        """Copy the feed's next blocks in one COPY; where it refuses a record, find that record and land the others."""
        sent: list[Block] = []
        try:
            self._send(self._feed.blocks(sent))
        except psycopg.Error as error:
            if not is_data_error(error):
                raise
            self._land_parts(sent)
        else:
            for block in sent:
                self._landed(block)

    def _land_parts(self, refused: Sequence[Block]) -> None:
        """Land the blocks of a COPY that was refused: without their blank lines, or else record by record."""
        parts = [part for block in refused for part in block.without_blank_lines()]
        if len(parts) > len(refused) or sum(part.records for part in parts) < sum(one.records for one in refused):
            try:
                if parts:
                    self._send(parts)
            except psycopg.Error as error:
                if not is_data_error(error):
                    raise
            else:
                for part in parts:
                    self._landed(part)
                return
        for part in parts:
            self._land_records(part)

    def _land_records(self, block: Block) -> None:
        """Land the records of a block, halving what COPY refuses until the refused records stand alone."""
        pending = [block]
        while pending and block.file.error is None:
            part = pending.pop()
            try:
                self._send([part.with_plain_line_ends()])
            except psycopg.Error as error:
                if not is_data_error(error):
                    raise
                if part.records > 1:
                    pending += reversed(part.halves())
                    continue
                reason = error.diag.message_primary or str(error)
                self._reject(BadRecord(part.file, part.raw, part.offset, part.first_record, reason), error.sqlstate)
            else:
                self._landed(part)

    def _send(self, blocks: Iterable[Block]) -> None:
        """Run one COPY, which is one transaction, and check that it landed as many rows as records were sent."""
        timed, following = self._progress.timed, iter(blocks)
        block: Block | None = next(following)
        assert block is not None  # noqa: S101 - a COPY has a block
        first, records, is_accepted = block, 0, False
        with self._connection.cursor() as cursor, ExitStack() as waiting:
            try:
                waiting.enter_context(timed("wait"))
                with cursor.copy(first.file.statement) as copy:
                    waiting.close()
                    is_accepted = True
                    while block is not None:
                        with timed("copy"):
                            copy.write(block.data)
                        records += block.records
                        with timed("read"):
                            block = next(following, None)
                    waiting.enter_context(timed("wait"))
            except psycopg.Error as error:
                # Before any record was sent, no record can be to blame. Options of COPY that exclude one another are
                # "not supported" before PostgreSQL 17.
                if not is_accepted and (is_data_error(error) or isinstance(error, errors.FeatureNotSupported)):
                    said = error.diag.message_primary or str(error)
                    raise LoadError(
                        f"COPY was refused: {said}. Correct what the source declares of its files."
                    ) from error
                raise
            if cursor.rowcount != records:
                raise LoadError(
                    f"{self._table}: {first.file.path}: {records} records were sent and {cursor.rowcount} rows landed. "
                    "Nothing of the load is kept; please report this."
                )

    def _landed(self, block: Block) -> None:
        with block.file.lock:
            block.file.records += block.records
            block.file.rewritten += block.rewritten
        self._progress.landed(block.records)

    def _reject(self, bad: BadRecord, sqlstate: str | None) -> None:
        self._connection.execute(
            """
            insert into ops.rejected_rows (load_id, file_id, record_number, byte_offset, sqlstate, reason, raw)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [self._load_id, bad.file.file_id, bad.record, bad.offset, sqlstate, bad.reason, bad.raw],
        )
        with bad.file.lock:
            bad.file.rejected += 1
            rejected = bad.file.rejected
        if rejected > self._max_rejects:
            limit = f"{rejected} rejected records, --max-rejects is {self._max_rejects}. " if self._max_rejects else ""
            bad.file.fail(
                TooManyRejects(
                    f"{bad.file.path}, record {bad.record} (byte {bad.offset}): {bad.reason}. {limit}Nothing of the "
                    f"file is visible. Fix it, or raise --max-rejects; `python -m loaders rejects {self._load_id}` "
                    "shows the record."
                )
            )


def is_data_error(error: psycopg.Error) -> bool:
    """Tell whether a COPY failed for what a record holds: SQLSTATE class 22 (data), 54 (program limits)."""
    return (error.sqlstate or "")[:2] in ("22", "54")
