"""Records that COPY would misread, read as Python's csv module reads them and written for COPY.

The loader parses nothing that it need not: this reads single records, where a quote is not as RFC 4180 has it
(quotes.py finds those), and what a source declares its files to have: comments, spaces behind delimiters, ragged
records, another escape byte than the quote.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from loaders.quotes import has_stray_quote

NEWLINE, RETURN = b"\n", b"\r"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV file's bytes are read.

    `quote` is b"" where quotes are ordinary characters; `escape` is the quote itself where it is not declared to be
    another byte; `copy_quote` is COPY's quote, and its own escape. A record that begins with `comment` is none. `trim`
    skips spaces behind a delimiter, before a quote too. A record that is not `width` fields wide (None: it may be
    anything) gets NULLs, or loses empty fields, at its end. `seeks_blank_lines`: COPY takes them for records of one
    column. Of more it refuses them, and the search is spared.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b'"'
    copy_quote: bytes = b'"'
    comment: bytes = b""
    trim: bool = False
    keep_blank_lines: bool = False
    seeks_blank_lines: bool = True
    width: int | None = None

    @property
    def other_escape(self) -> tuple[bytes, ...]:
        """The escape byte, if it is not the quote."""
        return (self.escape,) if self.escape and self.escape != self.quote else ()

    @property
    def is_tolerant(self) -> bool:
        """Whether records are declared to be other than COPY takes them."""
        return self.trim or self.width is not None or bool(self.other_escape) or not self.quote

    def has_to_read(self, data: bytes, end: int) -> bool:
        """Tell whether some of the records that end at `end` (0: none does) have to be read one by one."""
        if self.width is not None:
            return True
        end = end or len(data)
        beginnings, odd = self._sought
        return data.startswith(beginnings) or any(data.find(one, 0, end) >= 0 for one in odd)

    @cached_property
    def _sought(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """What to look for in whole records: a search takes as long as cutting them does."""
        blank = () if self.seeks_blank_lines else (NEWLINE, RETURN + NEWLINE)
        return (
            tuple(odd for odd in self._odd_beginnings if odd not in blank),
            tuple(odd for odd in self._odd if odd.removeprefix(NEWLINE) not in blank),
        )

    @cached_property
    def _odd_beginnings(self) -> tuple[bytes, ...]:
        """What no record begins with that COPY may get as it is."""
        blank = () if self.keep_blank_lines else (NEWLINE, RETURN + NEWLINE)
        return (*blank, *((self.comment,) if self.comment else ()), *((b" ",) if self.trim else ()))

    @cached_property
    def _odd(self) -> tuple[bytes, ...]:
        """What stands in no records that COPY may get as they are; in quotes it may, and costs time."""
        trimmed = (self.delimiter + b" ",) if self.trim else ()
        unread_quote = () if self.quote else (self.copy_quote,)
        return (*(NEWLINE + odd for odd in self._odd_beginnings), *trimmed, *self.other_escape, *unread_quote)

    def is_plain(self, line: bytes) -> bool:
        """Tell whether a line is a record that COPY may get as it is, without a look at its fields."""
        return (
            self.copy_quote not in line
            and not line.startswith(self._odd_beginnings)
            and not any(odd in line for odd in self._odd)
            and (self.width is None or line.count(self.delimiter) == self.width - 1)
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value, and whether it began with a quote: an empty text then, and not NULL."""

    value: bytes
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """What was read of a record that ends at `end`.

    `is_regular`: COPY may get it as it is. Else it gets `written`, or nothing where that is None: a blank line, a
    comment, or what `error` says. `is_stray`: its quotes are not as RFC 4180 has them.
    """

    end: int
    is_regular: bool = False
    written: bytes | None = None
    is_stray: bool = False
    error: str = ""


def records_of(data: bytes, limit: int, dialect: Dialect) -> Iterator[ReadRecord]:
    """Yield the records that begin before `limit` and end in `data`."""
    at = 0
    while at < limit and (newline := data.find(NEWLINE, at)) >= 0:
        line = data[at : newline + 1]
        if dialect.is_plain(line):
            at = newline + 1
            yield ReadRecord(at, is_regular=True)
            continue
        try:
            read = read_record(data, at, dialect)
        except ValueError as error:
            at = newline + 1
            yield ReadRecord(at, error=str(error))
            continue
        if read is None:
            return
        fields, end = read
        yield _judged(fields, data[at:end], end, dialect)
        at = end


def _judged(fields: list[Field] | None, raw: bytes, end: int, dialect: Dialect) -> ReadRecord:
    if fields is None:
        return ReadRecord(end)
    is_stray = bool(dialect.quote) and (
        raw.count(dialect.quote) % 2 == 1 or has_stray_quote(raw.split(dialect.quote), dialect.delimiter)
    )
    if not is_stray and not dialect.is_tolerant:
        return ReadRecord(end, is_regular=True)
    record = written(fields, dialect)
    is_regular = not is_stray and record == raw.removesuffix(NEWLINE).removesuffix(RETURN) + NEWLINE
    return ReadRecord(end, is_regular, record, is_stray and not dialect.other_escape)


def read_record(data: bytes, start: int, dialect: Dialect) -> tuple[list[Field] | None, int] | None:
    """Read the record at `start`, and return its fields and the index behind it; no fields for what is no record.

    None where the record does not end in `data`. ValueError for a carriage return that ends no line, which csv.reader
    refuses, too.
    """
    if dialect.comment and data.startswith(dialect.comment, start):
        end = data.find(NEWLINE, start)
        return None if end < 0 else (None, end + 1)
    fields: list[Field] = []
    at = start
    while True:
        read = _read_field(data, at, dialect)
        if read is None:
            return None
        field, at = read
        fields.append(field)
        ended_by = data[at : at + 1]
        at += 1
        if ended_by == dialect.delimiter:
            continue
        if ended_by == RETURN:
            if at == len(data):
                return None
            if data[at : at + 1] != NEWLINE:
                raise ValueError("a carriage return that ends no line")
            at += 1
        is_blank = data.startswith((NEWLINE, RETURN), start)
        return (None if is_blank and not dialect.keep_blank_lines else fields), at


def written(fields: Sequence[Field], dialect: Dialect) -> bytes:
    """Return the record as COPY reads it alike, as wide as the dialect says, ended by a newline."""
    if dialect.width is not None:
        surplus = fields[dialect.width :]
        if not any(field.value for field in surplus):
            fields = [*fields[: dialect.width], *[Field(b"")] * (dialect.width - len(fields))]
    return dialect.delimiter.join(_written(field, dialect) for field in fields) + NEWLINE


def _written(field: Field, dialect: Dialect) -> bytes:
    quote = dialect.copy_quote
    special = (quote, dialect.delimiter, NEWLINE, RETURN)
    if not field.is_quoted and not any(byte in field.value for byte in special):
        return field.value
    return quote + field.value.replace(quote, quote * 2) + quote


def _read_field(data: bytes, at: int, dialect: Dialect) -> tuple[Field, int] | None:
    """Return the field at `at`, and the index of the byte that ends it."""
    if dialect.trim:
        while data[at : at + 1] == b" ":
            at += 1
    value = b""
    is_quoted = bool(dialect.quote) and data.startswith(dialect.quote, at)
    if is_quoted:
        quoted = _read_quoted(data, at + 1, dialect)
        if quoted is None:
            return None
        value, at = quoted
        # What follows a closing quote belongs to the field, quotes and all; its first byte escapes nothing.
        if dialect.other_escape and data.startswith(dialect.escape, at):
            value += dialect.escape
            at += 1
    while True:
        end = _first_of(data, at, (dialect.delimiter, NEWLINE, RETURN, *dialect.other_escape))
        if end is None:
            return None
        value += data[at:end]
        if data[end : end + 1] not in dialect.other_escape:
            return Field(value, is_quoted), end
        value += data[end + 1 : end + 2]
        at = end + 2


def _read_quoted(data: bytes, at: int, dialect: Dialect) -> tuple[bytes, int] | None:
    """Return what stands between the quote before `at` and the one that closes it, and the index behind that."""
    value = b""
    while True:
        end = _first_of(data, at, (dialect.quote, *dialect.other_escape))
        # The last byte may be the first of a pair.
        if end is None or end + 1 >= len(data):
            return None
        value += data[at:end]
        if data.startswith(dialect.quote, end) and not data.startswith(dialect.quote * 2, end):
            return value, end + 1
        value += data[end + 1 : end + 2]
        at = end + 2


def _first_of(data: bytes, start: int, wanted: Sequence[bytes]) -> int | None:
    found = [at for one in wanted if (at := data.find(one, start)) >= 0]
    return min(found, default=None)
