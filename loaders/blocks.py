"""Cut a file into blocks of whole records, with their lineage before each, without parsing it."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from loaders.block import BadRecord, Block
from loaders.csv_reader import Dialect, records_of
from loaders.cutting import last_record_end
from loaders.first_record import BYTE_ORDER_MARK
from loaders.landing_file import LandingFile
from loaders.open_file import RecordStream

# Several of these make a COPY: small enough that four workers stay below 96 MiB.
BLOCK_BYTES = 512 * 1024
# A record has to fit in memory a few times over: it is read, cut out and sent.
MAX_RECORD_BYTES = 16 * 1024**2
# What is kept of a refused record too long to keep whole; bronze still has all of it.
KEPT_BYTES = 64 * 1024


class BlockReader:
    """Cut a file into blocks, for several threads; it is opened by the first `next`, and then closed at its end.

    `on_read` hears how many stored bytes were read. `block_bytes` is about the size of a block; a record longer than
    that makes its block longer.
    """

    def __init__(
        self,
        file: LandingFile,
        *,
        on_read: Callable[[int], None] = lambda _: None,
        block_bytes: int | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self.file = file
        self._on_read = on_read
        self._block_bytes = block_bytes or BLOCK_BYTES
        self._max_record_bytes = max_record_bytes
        self._lock = threading.Lock()
        self._stream: RecordStream | None = None
        self._position = 0
        self._carry = b""
        self._offset = 0
        self._next_record = 1
        self._at_end = False
        self._is_exhausted = False
        self._pieces: deque[Block | BadRecord] = deque()

    @property
    def is_exhausted(self) -> bool:
        """Whether there is nothing left to take: the file was read to its end, or has failed."""
        return self._is_exhausted or self.file.error is not None

    def next(self) -> Block | BadRecord | None:
        """Return the next block or bad record, None at the end; FileError if the file cannot be read or has changed."""
        with self._lock:
            if self.is_exhausted:
                self._close()
                return None
            if self._stream is None:
                self._open()
            piece = self._next()
            if piece is None:
                self._is_exhausted = True
                self._close()
                self.file.file.check_unchanged()
            elif self._stream is not None:
                position = self._stream.position
                self._on_read(position - self._position)
                self._position = position
            return piece

    def close(self) -> None:
        """Close the file where it is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._carry = b""
        if self._stream is not None:
            self._stream.close()

    def _open(self) -> None:
        self._stream = self.file.open()
        while len(self._carry) < len(BYTE_ORDER_MARK) and not self._at_end:
            self._fill()
        if not self.file.data_offset and self._carry.startswith(BYTE_ORDER_MARK):
            self._skip(len(BYTE_ORDER_MARK))
        while self._offset < self.file.data_offset and not self._at_end:
            self._skip(min(len(self._carry), self.file.data_offset - self._offset))
            if not self._carry:
                self._fill()

    def _next(self) -> Block | BadRecord | None:
        """Return the next piece: a block cut out, or what reading the records one by one has given."""
        while not self._pieces:
            if not self._at_end and len(self._carry) < self._block_bytes:
                self._fill()
            if self._at_end and not self._carry:
                return None
            if self._at_end and not self._carry.endswith(b"\n"):
                # One newline more than the file has: the offset of what follows does not matter at the end.
                self._carry += b"\n"
            if (block := self._cut()) is not None:
                return block
            if not self._pieces:
                if len(self._carry) > self._max_record_bytes:
                    return self._too_long()
                if self._at_end:
                    return self._bad_line("unterminated quote: the record runs to the end of the file")
                self._fill()
        return self._pieces.popleft()

    def _cut(self) -> Block | None:
        """Cut whole records off, or read them into `_pieces` where COPY would read them otherwise than csv does."""
        dialect, carry = self.file.dialect, self._carry
        if dialect is None:
            end, parts, is_regular = carry.rfind(b"\n") + 1, None, True
        else:
            end, parts, is_regular = last_record_end(carry, dialect.quote or None, dialect.delimiter)
            if not is_regular or dialect.has_to_read(carry, end):
                self._read_records(dialect, end or len(carry))
                return None
        if not end:
            return None
        block = self._block(carry[:end], self._offset, parts, has_quoted_newlines=parts is not None)
        self._skip(end)
        return block

    def _read_records(self, dialect: Dialect, limit: int) -> None:
        """Read the records that begin before `limit`, one by one, into `_pieces`; regular ones stay together."""
        carry, offset = self._carry, self._offset
        taken = at = 0
        for record in records_of(carry, limit, dialect):
            if not record.is_regular:
                if at > taken:
                    self._pieces.append(self._block(carry[taken:at], offset + taken))
                raw = carry[at : record.end]
                if record.error:
                    self._pieces.append(self._bad(raw, offset + at, record.error))
                elif record.written is not None:
                    self._pieces.append(
                        self._block(record.written, offset + at, original=raw, rewritten=int(record.is_stray))
                    )
                taken = record.end
            at = record.end
        if at > taken:
            self._pieces.append(self._block(carry[taken:at], offset + taken))
        self._skip(at)

    def _block(
        self,
        records: bytes,
        offset: int,
        parts: list[bytes] | None = None,
        *,
        has_quoted_newlines: bool = True,
        **kept: Any,
    ) -> Block:
        """Return a block of whole records, numbered on from the last one."""
        quote = self.file.dialect.copy_quote if self.file.dialect is not None and has_quoted_newlines else None
        data, count = self.file.lineage.put_before(records, self._next_record, quote, parts)
        block = Block(self.file, data, offset, self._next_record, count, has_quoted_newlines, **kept)
        self._next_record += count
        return block

    def _too_long(self) -> BadRecord:
        quote = b"" if self.file.dialect is None else self.file.dialect.quote
        if quote and self._carry.count(quote) % 2 == 1 and b"\n" in self._carry:
            return self._bad_line(f"unterminated quote, or a record of more than {self._max_record_bytes:,} bytes")
        raw, offset, size, end = b"", self._offset, 0, -1
        while end < 0 and self._carry:
            end = self._carry.find(b"\n")
            part = len(self._carry) if end < 0 else end + 1
            raw += self._carry[: min(part, KEPT_BYTES - len(raw))]
            size += part
            self._skip(part)
            if end < 0:
                self._fill()
        limit = f"{self._max_record_bytes:,}"
        return self._bad(raw, offset, f"record of {size:,} bytes, more than the {limit} that fit in memory")

    def _bad_line(self, reason: str) -> BadRecord:
        """Give up the first line only, so that the quote in it does not swallow every record that follows."""
        end = self._carry.find(b"\n")
        raw, offset = self._carry if end < 0 else self._carry[: end + 1], self._offset
        self._skip(len(raw))
        return self._bad(raw, offset, reason)

    def _bad(self, raw: bytes, offset: int, reason: str) -> BadRecord:
        self._next_record += 1
        return BadRecord(self.file, raw, offset, self._next_record - 1, reason)

    def _fill(self) -> None:
        data = b"" if self._stream is None else self._stream.read(self._block_bytes)
        if data:
            self._carry = self._carry + data if self._carry else data
        else:
            self._at_end = True

    def _skip(self, size: int) -> None:
        self._carry = self._carry[size:]
        self._offset += size
