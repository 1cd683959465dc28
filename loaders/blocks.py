"""Cut a byte stream into blocks of whole records, without parsing it.

A record ends at a newline with an even number of quote bytes before it: that is how PostgreSQL's own CSV reader
finds the end of a record (CopyReadLineText in copyfromparse.c toggles at every quote byte). `bytes.split`,
`bytes.rfind` and `bytes.replace` do it at memory speed. NDJSON has no quote byte: every newline ends a record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

# Several of these make a COPY: small enough that four workers stay below 96 MiB.
BLOCK_BYTES = 512 * 1024
# A record has to fit in memory a few times over: it is read, cut out and sent.
MAX_RECORD_BYTES = 16 * 1024**2
# What is kept of a refused record too long to keep whole; bronze still has all of it.
KEPT_BYTES = 64 * 1024


class Stream(Protocol):
    """The part of a binary file that a reader needs."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, cut from one file.

    `offset` is the byte offset of the first record in the uncompressed file, `first_record` its number (the first
    record after the header is 1). `data` ends in a newline. `prefixed` is `data` with the reader's prefix before every
    record; b"" in what was made from a block.
    """

    data: bytes
    offset: int
    first_record: int
    records: int
    has_quoted_newlines: bool
    prefixed: bytes = b""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One record that cannot be cut out as the format says; `raw` may be its beginning only."""

    raw: bytes
    offset: int
    record: int
    reason: str


class BlockReader:
    """Cut `stream` into blocks.

    `quote` is the format's quote byte, or None where every newline ends a record. `prefix` goes before every record of
    a block's `prefixed`: putting it there counts the records on the way. `block_bytes` is about the size of a block; a
    record longer than that makes its block longer.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        quote: bytes | None,
        prefix: bytes = b" ",
        block_bytes: int = BLOCK_BYTES,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._stream = stream
        self._quote = quote
        self._prefix = prefix
        self._block_bytes = block_bytes
        self._max_record_bytes = max_record_bytes
        self._carry = b""
        self._offset = 0
        self._next_record = 1
        self._at_end = False

    def read_header(self) -> bytes:
        """Return the first record without its line end and a byte order mark; b"" if the stream is empty."""
        while (end := _first_record_end(self._carry, self._quote)) is None and not self._at_end:
            if len(self._carry) > self._max_record_bytes:
                break
            self._fill()
        header = self._carry if end is None else self._carry[:end]
        self._skip(len(header))
        return header.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")

    def skip_byte_order_mark(self) -> None:
        """Skip a UTF-8 byte order mark at the beginning of a stream that has no header."""
        self._fill()
        if self._carry.startswith(b"\xef\xbb\xbf"):
            self._skip(3)

    def __iter__(self) -> Iterator[Block | BadRecord]:
        """Yield the rest of the stream, every byte of it in one block or bad record."""
        while (piece := self.next()) is not None:
            yield piece

    def next(self) -> Block | BadRecord | None:
        """Return the next block or bad record, or None at the end."""
        while True:
            if not self._at_end and (not self._carry or len(self._carry) < self._block_bytes):
                self._fill()
            end, has_quoted_newlines = _last_record_end(self._carry, self._quote)
            if end:
                return self._block(end, has_quoted_newlines)
            if len(self._carry) > self._max_record_bytes:
                return self._too_long()
            if self._at_end:
                return self._last_record()
            self._fill()

    def _block(self, end: int, has_quoted_newlines: bool) -> Block:
        data, quote = self._carry[:end], self._quote
        prefixed = prefix_records(data, self._prefix, quote if has_quoted_newlines else None)
        records = (len(prefixed) - len(data)) // len(self._prefix)
        block = Block(data, self._offset, self._next_record, records, has_quoted_newlines, prefixed)
        self._skip(end)
        self._next_record += records
        return block

    def _last_record(self) -> Block | BadRecord | None:
        """Return what follows the last newline that ends a record."""
        if not self._carry:
            return None
        if self._quote is None or self._carry.count(self._quote) % 2 == 0:
            # One newline more than the file has: the offset of what follows does not matter at the end.
            self._carry += b"\n"
            return self._block(*_last_record_end(self._carry, self._quote))
        return self._bad_line("unterminated quote: the record runs to the end of the file")

    def _too_long(self) -> BadRecord:
        if self._quote is not None and self._carry.count(self._quote) % 2 == 1 and b"\n" in self._carry:
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
        return BadRecord(raw, offset, self._next_record - 1, reason)

    def _fill(self) -> None:
        data = self._stream.read(self._block_bytes)
        if data:
            self._carry = self._carry + data if self._carry else data
        else:
            self._at_end = True

    def _skip(self, size: int) -> None:
        self._carry = self._carry[size:]
        self._offset += size


def split_records(block: Block, quote: bytes | None) -> list[bytes]:
    """Return the records of a block, each with the newline that ends it."""
    if not block.has_quoted_newlines:
        return block.data.splitlines(keepends=True) if b"\r" not in block.data else _split_at_newlines(block.data)
    records: list[bytes] = []
    record = b""
    for line in _split_at_newlines(block.data):
        record += line
        if quote is None or record.count(quote) % 2 == 0:
            records.append(record)
            record = b""
    return records


def halves(block: Block, quote: bytes | None) -> tuple[Block, Block]:
    """Return the two halves of a block of at least two records."""
    records = split_records(block, quote)
    middle = len(records) // 2
    first, second = b"".join(records[:middle]), b"".join(records[middle:])
    return (
        replace(block, data=first, records=middle, prefixed=b""),
        replace(
            block,
            data=second,
            prefixed=b"",
            offset=block.offset + len(first),
            first_record=block.first_record + middle,
            records=len(records) - middle,
        ),
    )


def with_plain_line_ends(block: Block, quote: bytes | None) -> Block:
    """Return the block with its records ended by plain newlines: COPY refuses two kinds of line end in one go."""
    if b"\r\n" not in block.data:
        return block
    records = (record.removesuffix(b"\r\n") for record in split_records(block, quote))
    return replace(block, data=b"".join(record.removesuffix(b"\n") + b"\n" for record in records), prefixed=b"")


def prefix_records(data: bytes, prefix: bytes, quote: bytes | None) -> bytes:
    """Return whole records with `prefix` (lineage columns) before each; no `quote`: every newline ends a record."""
    after_newline = b"\n" + prefix
    if quote is None:
        prefixed = data.replace(b"\n", after_newline)
    else:
        parts = data.split(quote)
        parts[0::2] = [part.replace(b"\n", after_newline) for part in parts[0::2]]
        prefixed = quote.join(parts)
    # The last newline ends the data: nothing follows it.
    return b"".join((prefix, memoryview(prefixed)[: -len(prefix)]))


def number_records(block: Block, prefix: bytes, delimiter: bytes, quote: bytes | None) -> bytes:
    """Return the block's data with `prefix` and its number in the file before every record."""
    # One formatting of the whole block takes a third of the time of one a record.
    parts = (block.data, prefix, delimiter, quote or b"")
    data, before, after, quote = (part.replace(b"%", b"%%") for part in parts)
    template = prefix_records(data, before + b"%d" + after, quote if block.has_quoted_newlines else None)
    return template % tuple(range(block.first_record, block.first_record + block.records))


def _split_at_newlines(data: bytes) -> list[bytes]:
    """Split at newlines only: bytes.splitlines also splits at carriage returns."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _first_record_end(data: bytes, quote: bytes | None) -> int | None:
    """Return the index behind the newline that ends the first record, or None if none does."""
    end, quotes, start = 0, 0, 0
    while (newline := data.find(b"\n", start)) >= 0:
        end = newline + 1
        quotes += 0 if quote is None else data.count(quote, start, end)
        if quotes % 2 == 0:
            return end
        start = end
    return None


def _last_record_end(data: bytes, quote: bytes | None) -> tuple[int, bool]:
    """Return the index behind the last newline that ends a record, 0 if none does, and whether one before is quoted."""
    if quote is None:
        return data.rfind(b"\n") + 1, False
    # Every second part stands in quotes. One split finds both, at two thirds of the time that counting takes.
    parts = data.split(quote)
    end = len(data)
    for at in range(len(parts) - 1, -1, -1):
        start = end - len(parts[at])
        if at % 2 == 0 and (newline := parts[at].rfind(b"\n")) >= 0:
            return start + newline + 1, any(b"\n" in quoted for quoted in parts[1:at:2])
        end = start - 1
    return 0, False
