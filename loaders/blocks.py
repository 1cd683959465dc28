"""Cut a file into blocks of whole records, with their lineage before each, without parsing it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from loaders.bronze import OpenFile, Readable
from loaders.cutting import first_record_end, last_record_end, split_records
from loaders.landing_file import LandingFile

# Several of these make a COPY: small enough that four workers stay below 96 MiB.
BLOCK_BYTES = 512 * 1024
# A record has to fit in memory a few times over: it is read, cut out and sent.
MAX_RECORD_BYTES = 16 * 1024**2
# What is kept of a refused record too long to keep whole; bronze still has all of it.
KEPT_BYTES = 64 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of one file as they are sent, each with its lineage.

    `offset` is the byte offset of the first record in the uncompressed file, `first_record` its number (the first
    record after the header is 1). `data` ends in a newline.
    """

    file: LandingFile
    data: bytes
    offset: int
    first_record: int
    records: int
    has_quoted_newlines: bool

    @property
    def raw(self) -> bytes:
        """The one record of a block of one, as it stands in the file."""
        return self.data[self.file.lineage.size(self.first_record, 1) :]

    def halves(self) -> tuple["Block", "Block"]:
        """Return the two halves of a block of at least two records."""
        records = self._split()
        middle = len(records) // 2
        first = b"".join(records[:middle])
        return (
            replace(self, data=first, records=middle),
            replace(
                self,
                data=b"".join(records[middle:]),
                offset=self.offset + len(first) - self.file.lineage.size(self.first_record, middle),
                first_record=self.first_record + middle,
                records=len(records) - middle,
            ),
        )

    def with_plain_line_ends(self) -> "Block":
        """Return the block with records ended by plain newlines: COPY refuses two kinds of line end in one go."""
        if b"\r\n" not in self.data:
            return self
        records = (record.removesuffix(b"\r\n") for record in self._split())
        return replace(self, data=b"".join(record.removesuffix(b"\n") + b"\n" for record in records))

    def _split(self) -> list[bytes]:
        return split_records(self.data, self.file.quote if self.has_quoted_newlines else None)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One record that cannot be cut out as the format says; `raw` may be its beginning only."""

    file: LandingFile
    raw: bytes
    offset: int
    record: int
    reason: str


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
        self._stream: OpenFile | None = None
        self._position = 0
        self._carry = b""
        self._offset = 0
        self._next_record = 1
        self._at_end = False
        self._is_exhausted = False

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
        self._stream = self.file.file.open()
        if self.file.has_header:
            header, self._carry = read_header(self._stream, self.file.quote, self._block_bytes, self._max_record_bytes)
            self._offset = len(header)
        else:
            self._fill()
            if self._carry.startswith(BYTE_ORDER_MARK):
                self._skip(len(BYTE_ORDER_MARK))

    def _next(self) -> Block | BadRecord | None:
        while True:
            if not self._at_end and len(self._carry) < self._block_bytes:
                self._fill()
            end, has_quoted_newlines = last_record_end(self._carry, self.file.quote)
            if end:
                return self._block(end, has_quoted_newlines)
            if len(self._carry) > self._max_record_bytes:
                return self._too_long()
            if self._at_end:
                return self._last_record()
            self._fill()

    def _block(self, end: int, has_quoted_newlines: bool) -> Block:
        quote = self.file.quote if has_quoted_newlines else None
        data, records = self.file.lineage.put_before(self._carry[:end], self._next_record, quote)
        block = Block(self.file, data, self._offset, self._next_record, records, has_quoted_newlines)
        self._skip(end)
        self._next_record += records
        return block

    def _last_record(self) -> Block | BadRecord | None:
        """Return what follows the last newline that ends a record."""
        quote = self.file.quote
        if not self._carry:
            return None
        if quote is None or self._carry.count(quote) % 2 == 0:
            # One newline more than the file has: the offset of what follows does not matter at the end.
            self._carry += b"\n"
            return self._block(*last_record_end(self._carry, quote))
        return self._bad_line("unterminated quote: the record runs to the end of the file")

    def _too_long(self) -> BadRecord:
        quote = self.file.quote
        if quote is not None and self._carry.count(quote) % 2 == 1 and b"\n" in self._carry:
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


def read_header(
    stream: Readable, quote: bytes | None, block_bytes: int = BLOCK_BYTES, max_record_bytes: int = MAX_RECORD_BYTES
) -> tuple[bytes, bytes]:
    """Return the first record of a stream with its line end, b"" if it is empty, and what was read behind it."""
    data = b""
    while (end := first_record_end(data, quote)) is None and len(data) <= max_record_bytes:
        more = stream.read(block_bytes)
        if not more:
            break
        data += more
    return (data, b"") if end is None else (data[:end], data[end:])
