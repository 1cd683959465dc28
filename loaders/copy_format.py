"""How COPY reads the files of a source, and what the loader has to know of them to cut them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from psycopg import sql

from loaders.cutting import Lineage
from loaders.encodings import EMBEDS_ASCII, Encoding, find_encoding
from loaders.header import column_names
from loaders.raw_table import FILE_ID, LOAD_ID, RECORD_NUMBER, RawTable

# Neither byte can stand in JSON text, so a whole line is one unquoted field.
JSONL_DELIMITER = "\x02"
JSONL_QUOTE = "\x01"
JSONL_COLUMN = "raw"


@dataclass(frozen=True, kw_only=True)
class CopyFormat:
    """The format of a source's files, as its declaration says; `problems` says what of it cannot be."""

    is_json: bool = False
    delimiter: str = ","
    quote: str = '"'
    null_text: str = ""
    encoding_name: str = "utf-8"
    has_record_numbers: bool = False

    @classmethod
    def jsonl(cls, *, null_text: str, encoding_name: str, has_record_numbers: bool) -> "CopyFormat":
        """Return the format of one JSON document a line."""
        return cls(
            is_json=True,
            delimiter=JSONL_DELIMITER,
            quote=JSONL_QUOTE,
            null_text=null_text,
            encoding_name=encoding_name,
            has_record_numbers=has_record_numbers,
        )

    @property
    def has_header(self) -> bool:
        """Whether a file's first record names its columns."""
        return not self.is_json

    @property
    def record_quote(self) -> bytes | None:
        """The byte inside a pair of which a newline ends no record, None where there is none."""
        return None if self.is_json else self.quote.encode()

    @property
    def lineage_columns(self) -> tuple[str, ...]:
        """The columns that go before a record's own, in the order in which they are sent."""
        return (LOAD_ID, FILE_ID, RECORD_NUMBER) if self.has_record_numbers else (LOAD_ID, FILE_ID)

    @cached_property
    def encoding(self) -> Encoding | None:
        """The encoding of the files, None if COPY cannot read it."""
        return find_encoding(self.encoding_name)

    def problems(self) -> Iterator[str]:
        """Say what is declared that COPY refuses or that cannot be cut, a sentence each."""
        for name, text in (("delimiter", self.delimiter), ("quote", self.quote)):
            if len(text.encode()) != 1:
                yield f"{name} is {text!r}, not one byte, as COPY wants it."
            elif text in "\r\n\0":
                yield f"{name} is {text!r}, which ends a record or a text. Use another byte."
            elif text.isdigit():
                yield f"{name} is {text!r}: a digit would cut the load ids before each record. Use another byte."
            if text and text in self.null_text:
                yield f"null_text is {self.null_text!r}, which holds the {name}. Use a text without it."
        if self.delimiter == self.quote:
            yield f"delimiter and quote are both {self.quote!r}. Use two bytes."
        if any(end in self.null_text for end in "\r\n\0"):
            yield f"null_text is {self.null_text!r}, which holds a line end or NUL. Use a text without it."
        if self.encoding is None:
            yield f"encoding is {self.encoding_name!r}, which COPY cannot read. Convert the files to UTF-8."
        elif self.encoding.server in EMBEDS_ASCII and self.quote >= "0":
            yield f"quote is {self.quote!r}, which is part of characters in {self.encoding.server}. Use another byte."

    def column_types(self, columns: Sequence[str]) -> dict[str, str]:
        """Return the types of a raw table's columns, lineage first."""
        types = dict.fromkeys(self.lineage_columns, "integer")
        return types | ({JSONL_COLUMN: "jsonb"} if self.is_json else dict.fromkeys(columns, "text"))

    def columns(self, header: bytes, path: str) -> tuple[str, ...]:
        """Return the columns of a file with this header; FileError for a header that cannot be used."""
        if self.is_json:
            return (JSONL_COLUMN,)
        codec = "utf-8" if self.encoding is None else self.encoding.codec
        return column_names(header, path=path, delimiter=self.delimiter, quote=self.quote, encoding=codec)

    def lineage(self, load_id: int, file_id: int) -> Lineage:
        """Return what goes before the records of a file."""
        prefix = f"{load_id}{self.delimiter}{file_id}{self.delimiter}".encode()
        return Lineage(prefix, self.delimiter.encode() if self.has_record_numbers else None)

    def copy_statement(self, table: RawTable, columns: Sequence[str]) -> sql.Composed:
        """Return the COPY of records that begin with their lineage."""
        lineage = [sql.Identifier(name) for name in self.lineage_columns]
        options = sql.SQL("format csv, delimiter {}, quote {}, escape {}, null {}, encoding {}").format(
            sql.Literal(self.delimiter),
            sql.Literal(self.quote),
            sql.Literal(self.quote),
            sql.Literal(self.null_text),
            sql.Literal("UTF8" if self.encoding is None else self.encoding.server),
        )
        if self.null_text.isdigit():
            # Else the load with this very number would be NULL.
            options += sql.SQL(", force_not_null ({})").format(sql.SQL(", ").join(lineage))
        return sql.SQL("copy {} ({}) from stdin ({})").format(
            table.identifier,
            sql.SQL(", ").join([*lineage, *(sql.Identifier(name) for name in columns)]),
            options,
        )
