"""Raw tables: created and widened; their partitions are segments.py's."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from loaders.distribution import is_cluster

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


def create_raw_table(
    connection: psycopg.Connection, table: RawTable, columns: Mapping[str, str], *, distributed_by: str
) -> None:
    """Create the raw table with these columns and their types, where it is missing; on a cluster it is distributed."""
    if raw_table_exists(connection, table):
        return
    # Lineage stands before every record that is sent, so it is never NULL; checking it costs 5 % of the server's time.
    # Asked first: `create schema if not exists` needs the right to create schemas even where the schema exists.
    if connection.execute("select to_regnamespace(quote_ident(%s))", [table.schema]).fetchone() == (None,):
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(table.schema)))
    connection.execute(
        sql.SQL("create table {} ({}) partition by range (_load_id)").format(
            table.identifier,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(data_type)) for name, data_type in columns.items()
            ),
        )
    )
    if is_cluster(connection):
        connection.execute(
            "select create_distributed_table(format('%%I.%%I', %s::text, %s::text)::regclass, %s)",
            [table.schema, table.name, distributed_by],
        )


def present_columns(connection: psycopg.Connection, table: RawTable) -> set[str]:
    """Return the names of the raw table's columns, none where it is missing."""
    rows = connection.execute(
        """
        select attname from pg_attribute
        where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) and attnum > 0 and not attisdropped
        """,
        [table.schema, table.name],
    )
    return {row[0] for row in rows}


def raw_table_exists(connection: psycopg.Connection, table: RawTable) -> bool:
    """Tell whether the raw table has been created."""
    row = connection.execute(
        "select to_regclass(format('%%I.%%I', %s::text, %s::text)) is not null", [table.schema, table.name]
    ).fetchone()
    return row == (True,)


def added_columns(table: RawTable, columns: Mapping[str, str]) -> sql.Composed:
    """Return the statement that adds columns; it holds the table alone."""
    added = sql.SQL(", ").join(
        sql.SQL("add column if not exists {} {}").format(sql.Identifier(name), sql.SQL(data_type))
        for name, data_type in columns.items()
    )
    return sql.SQL("alter table {} {}").format(table.identifier, added)


def comment_on_columns(connection: psycopg.Connection, table: RawTable, originals: Mapping[str, str]) -> None:
    """Keep, as a column's comment, the field of the header that it is named for."""
    for name, original in originals.items():
        connection.execute(
            sql.SQL("comment on column {}.{} is {}").format(
                table.identifier, sql.Identifier(name), sql.Literal(original)
            )
        )
