"""Raw tables: created from a file's header, widened by the next, copied into."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from loaders.header import column_names
from loaders.sources import Bronze, SourceTable

# Neither byte can stand in JSON text, so a whole line is one unquoted field.
JSONL_DELIMITER = "\x02"
JSONL_QUOTE = "\x01"
JSONL_COLUMN = "raw"
LOAD_ID, FILE_ID, RECORD_NUMBER = "_load_id", "_file_id", "_record_number"


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A raw table: staging.people__persons."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def lineage_columns(bronze: Bronze) -> tuple[str, ...]:
    """Return the columns that go before a record's own, in the order in which they are sent."""
    return (LOAD_ID, FILE_ID, RECORD_NUMBER) if bronze.record_number else (LOAD_ID, FILE_ID)


def raw_table(source: SourceTable) -> RawTable:
    """Return the raw table that a source lands in."""
    return RawTable(schema=source.schema, name=source.identifier)


def create_or_widen(connection: psycopg.Connection, source: SourceTable, columns: Sequence[str]) -> None:
    """Create the raw table with these columns, or add those that it lacks; NDJSON has its one column at once."""
    table = raw_table(source)
    is_json = source.bronze.format == "jsonl"
    wanted = dict.fromkeys(lineage_columns(source.bronze), "integer")
    wanted |= {JSONL_COLUMN: "jsonb"} if is_json else dict.fromkeys(columns, "text")
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(table.schema)))
    # Lineage stands before every record that is sent, so it is never NULL; checking it costs 5 % of the server's time.
    connection.execute(
        sql.SQL(
            "create table if not exists {} (_load_id integer, _file_id integer) partition by range (_load_id)"
        ).format(table.identifier)
    )
    present = {
        row[0]
        for row in connection.execute(
            "select attname from pg_attribute where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) "
            "and attnum > 0 and not attisdropped",
            [table.schema, table.name],
        )
    }
    missing = {name: data_type for name, data_type in wanted.items() if name not in present}
    if missing:
        added = sql.SQL(", ").join(
            sql.SQL("add column {} {}").format(sql.Identifier(name), sql.SQL(data_type))
            for name, data_type in missing.items()
        )
        connection.execute(sql.SQL("alter table {} {}").format(table.identifier, added))


def columns_of(source: SourceTable, header: bytes, path: str) -> tuple[str, ...]:
    """Return the columns of a file with this header; FileError for a header that cannot be used."""
    if source.bronze.format == "jsonl":
        return (JSONL_COLUMN,)
    bronze = source.bronze
    return column_names(header, path=path, delimiter=bronze.delimiter, quote=bronze.quote, encoding=bronze.encoding)


def copy_statement(source: SourceTable, columns: Sequence[str]) -> sql.Composed:
    """Return the COPY of records that begin with a load id and a file id."""
    bronze = source.bronze
    names = [sql.Identifier(name) for name in (*lineage_columns(bronze), *columns)]
    return sql.SQL(
        "copy {} ({}) from stdin (format csv, delimiter {}, quote {}, escape {}, null {}, encoding {})"
    ).format(
        raw_table(source).identifier,
        sql.SQL(", ").join(names),
        sql.Literal(delimiter(bronze)),
        sql.Literal(bronze.quote if bronze.format == "csv" else JSONL_QUOTE),
        sql.Literal(bronze.quote if bronze.format == "csv" else JSONL_QUOTE),
        sql.Literal(bronze.null_text),
        sql.Literal(bronze.encoding),
    )


def delimiter(bronze: Bronze) -> str:
    """Return the byte between fields."""
    return JSONL_DELIMITER if bronze.format == "jsonl" else bronze.delimiter


def record_quote(bronze: Bronze) -> bytes | None:
    """Return the byte inside a pair of which a newline ends no record, None where there is none."""
    return None if bronze.format == "jsonl" else bronze.quote.encode()
