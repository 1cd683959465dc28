"""How the files of a source are read, and how COPY gets what they hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from psycopg import sql

from loaders.csv_reader import Dialect
from loaders.cutting import Lineage
from loaders.encodings import Encoding, find_encoding
from loaders.errors import FileError
from loaders.header import column_names
from loaders.raw_table import FILE_ID, LOAD_ID, RECORD_NUMBER, RawTable

FileKind = Literal["csv", "jsonl", "parquet", "json"]
# Neither byte can stand in JSON text, so a whole line is one unquoted field. Where quotes are ordinary characters,
# COPY gets the second one as its quote, too.
JSONL_DELIMITER = "\x02"
UNUSED_QUOTE = "\x01"
JSONL_COLUMN = "raw"
# Of these DuckDB makes CSV, in which NULL is this text without quotes. With NULL as nothing, each value would need
# quotes, which takes as long again.
CONVERTED_KINDS = ("parquet", "json")
CONVERTED_NULL = r"\N"
# PostgreSQL's limit is 1,600 in all; three are the lineage's.
MAX_COLUMNS = 1597


@dataclass(frozen=True, kw_only=True)
class CopyFormat:
    """The format of a source's files, as its declaration says; `problems` says what of it cannot be.

    `quote` is "" where quotes are ordinary characters. `null_text` is COPY's. `names` are the columns of files without
    a header (None: numbered), `renamed` gives fields of a header other names than their snake_case. Where it is not
    `for_copy`, what COPY does by itself is done beforehand: text is rewritten in UTF-8, blank lines are left out.
    """

    kind: FileKind = "csv"
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    null_text: str = ""
    encoding_name: str = "utf-8"
    has_record_numbers: bool = False
    has_header: bool = True
    names: Sequence[str] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    skip_lines: int = 0
    comment: str = ""
    keep_blank_lines: bool = False
    pad: bool = False
    trim: bool = False
    for_copy: bool = True

    @property
    def is_json(self) -> bool:
        """Whether a record is one JSON document a line."""
        return self.kind == "jsonl"

    @property
    def copy_quote(self) -> str:
        """COPY's quote and escape."""
        return UNUSED_QUOTE if self.is_json or not self.quote else self.quote

    @property
    def copy_delimiter(self) -> str:
        """COPY's delimiter."""
        return JSONL_DELIMITER if self.is_json else self.delimiter

    @property
    def lineage_columns(self) -> tuple[str, ...]:
        """The columns that go before a record's own, in the order in which they are sent."""
        return (LOAD_ID, FILE_ID, RECORD_NUMBER) if self.has_record_numbers else (LOAD_ID, FILE_ID)

    @cached_property
    def encoding(self) -> Encoding | None:
        """The encoding of the files, None if nobody knows it."""
        found = find_encoding(self.encoding_name)
        if found is None or self.for_copy:
            return found
        return replace(found, is_rewritten=found.server != "UTF8" or found.is_rewritten)

    def dialect(self, width: int | None = None) -> Dialect | None:
        """Return how a CSV record of so many columns is read; None for JSON, where a newline ends it."""
        if self.is_json:
            return None
        return Dialect(
            delimiter=self.delimiter.encode(),
            quote=self.quote.encode(),
            escape=self.escape.encode() if self.quote else b"",
            copy_quote=self.copy_quote.encode(),
            comment=self.comment.encode(),
            trim=self.trim,
            keep_blank_lines=self.keep_blank_lines,
            seeks_blank_lines=not self.for_copy or width is None or width < 2,
            width=width if self.pad else None,
        )

    def problems(self) -> Iterator[str]:
        """Say what is declared that cannot be, a sentence each."""
        bytes_of = {"delimiter": self.delimiter} | ({"quote": self.quote, "escape": self.escape} if self.quote else {})
        for name, text in bytes_of.items():
            if len(text.encode()) != 1:
                yield f"{name} is {text!r}, not one byte, as COPY wants it."
            elif text in "\r\n\0":
                yield f"{name} is {text!r}, which ends a record or a text. Use another byte."
            elif text.isdigit():
                yield f"{name} is {text!r}: a digit would cut the load ids before each record. Use another byte."
            if text and name != "escape" and text in self.null_text:
                yield f"null_text is {self.null_text!r}, which holds the {name}. Use a text without it."
        others = {"quote": self.quote, "comment": self.comment} | (
            {} if self.escape == self.quote else {"escape": self.escape}
        )
        for name, text in others.items():
            if text and text == self.delimiter:
                yield f"delimiter and {name} are both {self.delimiter!r}. Use two bytes."
        if any(end in self.null_text for end in "\r\n\0"):
            yield f"null_text is {self.null_text!r}, which holds a line end or NUL. Use a text without it."
        if any(end in self.comment for end in "\r\n\0"):
            yield f"comment is {self.comment!r}, which holds a line end or NUL. Use a text without it."
        if self.encoding is None:
            yield f"encoding is {self.encoding_name!r}, which neither PostgreSQL nor Python knows. Correct it."
        if self.names is not None and self.has_header:
            yield "columns is a list, which is for files without a header. Add `header: false`, or rename by a mapping."
        if self.renamed and not self.has_header:
            yield "columns is a mapping, which renames the fields of a header. List the names instead."
        names = self.names if self.names is not None else list(self.renamed.values())
        if len(set(names)) != len(names) or column_names(names) != tuple(names):
            yield f"columns has names that no raw table has: {', '.join(names)}. Use different names in snake_case."

    def column_types(self, columns: Sequence[str]) -> dict[str, str]:
        """Return the types of a raw table's columns, lineage first."""
        types = dict.fromkeys(self.lineage_columns, "integer")
        return types | ({JSONL_COLUMN: "jsonb"} if self.is_json else dict.fromkeys(columns, "text"))

    def columns(self, fields: Sequence[str], path: str) -> dict[str, str]:
        """Return the columns of a file, and the field of the header (or the first record) that each is named for."""
        fields = list(fields)
        if self.pad and self.has_header:
            # A delimiter at the line's end is no column.
            while fields and not fields[-1].strip():
                fields.pop()
        if len(fields) > MAX_COLUMNS:
            raise FileError(f"{path} has {len(fields):,} columns, a table at most {MAX_COLUMNS:,}. Split the file.")
        if self.has_header:
            return dict(zip(column_names(fields, self.renamed), fields, strict=True))
        if self.names is None:
            return {name: name for name in column_names([""] * len(fields))}
        if len(fields) != len(self.names) and not self.pad:
            raise FileError(
                f"{path} has {len(fields)} columns in its first record, and its source names {len(self.names)}. "
                "Correct config.meta.bronze.columns."
            )
        return {name: name for name in self.names}

    def lineage(self, load_id: int, file_id: int) -> Lineage:
        """Return what goes before the records of a file."""
        delimiter = self.copy_delimiter
        # COPY is told that these are never NULL; to another reader, a number with a sign is no text that stands for it.
        sign = "" if self.for_copy else "+"
        prefix = f"{sign}{load_id}{delimiter}{sign}{file_id}{delimiter}{sign * self.has_record_numbers}".encode()
        return Lineage(prefix, delimiter.encode() if self.has_record_numbers else None)

    def copy_statement(self, table: RawTable, columns: Sequence[str]) -> sql.Composed:
        """Return the COPY of records that begin with their lineage."""
        lineage = [sql.Identifier(name) for name in self.lineage_columns]
        options = sql.SQL("format csv, delimiter {}, quote {}, escape {}, null {}, encoding {}").format(
            sql.Literal(self.copy_delimiter),
            sql.Literal(self.copy_quote),
            sql.Literal(self.copy_quote),
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
