"""Records that COPY would misread, read as Python's csv module reads them and written for COPY.

The loader parses nothing that it need not: this reads single records, where a quote is not as RFC 4180 has it
(quotes.py finds those), and what a source declares its files to have: comments, spaces behind delimiters, ragged
records, another escape byte than the quote.
"""

from collections.abc import Sequence
from dataclasses import dataclass

NEWLINE, RETURN = b"\n", b"\r"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV file's bytes are read.

    `quote` is b"" where quotes are ordinary characters; `escape` is the quote itself where it is not declared to be
    another byte. A record that begins with `comment` is none. `trim` skips spaces behind a delimiter, before a quote
    too. A record that is not `width` fields wide (None: it may be anything) gets NULLs, or loses empty fields, at its
    end.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b'"'
    comment: bytes = b""
    trim: bool = False
    keep_blank_lines: bool = False
    width: int | None = None

    @property
    def other_escape(self) -> tuple[bytes, ...]:
        """The escape byte, if it is not the quote."""
        return (self.escape,) if self.escape and self.escape != self.quote else ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value, and whether it began with a quote: an empty text then, and not NULL."""

    value: bytes
    is_quoted: bool = False


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
        end = data[at : at + 1]
        at += 1
        if end == dialect.delimiter:
            continue
        if end == RETURN:
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
    quote = dialect.quote
    if not quote:
        return field.value
    special = (quote, dialect.escape, dialect.delimiter, NEWLINE, RETURN)
    if not field.is_quoted and not any(byte in field.value for byte in special):
        return field.value
    value = field.value.replace(dialect.escape, dialect.escape * 2)
    if dialect.escape != quote:
        value = value.replace(quote, dialect.escape + quote)
    return quote + value + quote


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
