"""The table that records go into: its columns and keys by the catalogue, and the statements that fill it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from loaders.errors import RecordError, SettingError
from loaders.records.rows import Fields, JsonColumns

OnConflict = Literal["nothing", "update"]
JSON_OIDS = frozenset({114, 3802})  # json and jsonb
# Where a chunk's rows stand before they are upserted, with their place in the chunk in a column that no record has.
TEMPORARY, POSITION = sql.Identifier("pg_temp", "ingot records"), sql.Identifier("ingot position")


@dataclass(frozen=True)
class Column:
    """A column that can be written to; a required one is not null and has no default. A domain is its base type."""

    type_oid: int
    type_name: str
    is_required: bool


@dataclass(frozen=True)
class TargetTable:
    """The table: its name for messages and for SQL, its columns, and its unique keys, the primary key first."""

    name: str
    identifier: sql.Identifier
    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    unique_keys: frozenset[frozenset[str]]

    @classmethod
    async def read(cls, connection: psycopg.AsyncConnection[Any], table: str) -> "TargetTable":
        """Read what the catalogue says of a table; SettingError if there is none of that name."""
        async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
            try:
                await cursor.execute(
                    "select c.oid, n.nspname, c.relname from pg_class as c "
                    "inner join pg_namespace as n on n.oid = c.relnamespace where c.oid = %s::regclass",
                    [table],
                )
            except psycopg.ProgrammingError as error:
                said = error.diag.message_primary or str(error)
                raise SettingError(f"{table}: {said}. Name a table as SQL does, or create it first.") from error
            [(oid, schema, relation)] = await cursor.fetchall()
            await cursor.execute(
                """
                select attname, coalesce(nullif(typbasetype, 0), atttypid),
                    -- With -1 it writes bpchar, where it writes character (of one letter) with NULL.
                    format_type(coalesce(nullif(typbasetype, 0), atttypid), -1),
                    attnotnull and not atthasdef and attidentity = ''
                from pg_attribute
                inner join pg_type on pg_type.oid = atttypid
                where attrelid = %s and attnum > 0 and not attisdropped and attgenerated = ''
                order by attnum
                """,
                [oid],
            )
            columns = {name: Column(*described) for name, *described in await cursor.fetchall()}
            await cursor.execute(
                """
                select indisprimary, array(
                    select attname::text from pg_attribute
                    where attrelid = indrelid and attnum = any((indkey::smallint[])[0:indnkeyatts - 1])
                )
                from pg_index
                where indrelid = %s and indisunique and indisvalid and indimmediate
                    and indpred is null and indexprs is null
                """,
                [oid],
            )
            keys = await cursor.fetchall()
        return cls(
            name=table,
            identifier=sql.Identifier(schema, relation),
            columns=columns,
            primary_key=next((tuple(key) for is_primary, key in keys if is_primary), ()),
            unique_keys=frozenset(frozenset(key) for _, key in keys),
        )

    def check(self, fields: Fields) -> None:
        """Raise RecordError if records have fields that no column takes, or lack a column that has to be given."""
        unknown = [name for name in fields.names if name not in self.columns]
        missing = [name for name, column in self.columns.items() if column.is_required and name not in fields.names]
        if unknown or missing:
            problems = [f"no column takes the fields {unknown}"] if unknown else []
            problems += [f"the records lack {missing}, not null and without a default"] if missing else []
            raise RecordError(
                f"{self.name}: {', and '.join(problems)}. Name fields as its columns are: {', '.join(self.columns)}."
            )

    def json_columns(self, fields: Fields) -> JsonColumns:
        """Return where in a row JSON stands."""
        return [position for position, name in enumerate(fields.names) if self.columns[name].type_oid in JSON_OIDS]

    def copy_statement(self, fields: Fields) -> sql.Composed:
        """Return the COPY. Its format is text: psycopg's binary one is faster, and turns 2**40 for an int4 into 0."""
        return sql.SQL("copy {} ({}) from stdin").format(self.identifier, _names(fields.names))

    def insert_statement(
        self, fields: Fields, on_conflict: OnConflict | None, key: Sequence[str] | None
    ) -> sql.Composed:
        """Return the INSERT; SettingError if ON CONFLICT has no such key to go by."""
        # Numbered: in a statement with %s, a % in a name would be read as a placeholder.
        numbers = ", ".join(f"${number}" for number in range(1, len(fields.names) + 1))
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            self.identifier, _names(fields.names), sql.SQL(numbers)
        )
        return statement if on_conflict is None else statement + self._on_conflict(fields, on_conflict, key)

    def upsert_statements(
        self, fields: Fields, on_conflict: OnConflict, key: Sequence[str] | None
    ) -> tuple[sql.Composed, sql.Composed, sql.Composed]:
        """Return what makes a temporary table, copies into it, and upserts from it; the last row of a key wins."""
        names = _names(fields.names)
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(self.columns[name].type_name))
            for name in fields.names
        ]
        create = sql.SQL("create temporary table {} ({} integer, {}) on commit drop").format(
            TEMPORARY, POSITION, sql.SQL(", ").join(columns)
        )
        copy = sql.SQL("copy {} ({}, {}) from stdin").format(TEMPORARY, POSITION, names)
        clause = self._on_conflict(fields, on_conflict, key)
        if on_conflict == "nothing":
            rows = sql.SQL("select {} from {} order by {}").format(names, TEMPORARY, POSITION)
        else:
            identifiers = [sql.Identifier(name) for name in (self.primary_key if key is None else key)]
            # A key with a NULL in it is no key that another row could have.
            is_null = sql.SQL(" or ").join(sql.SQL("{} is null").format(one) for one in identifiers)
            rows = sql.SQL(
                "select distinct on ({key}, case when {is_null} then {position} end) {names} from {table} "
                "order by {key}, case when {is_null} then {position} end, {position} desc"
            ).format(
                key=sql.SQL(", ").join(identifiers), is_null=is_null, position=POSITION, names=names, table=TEMPORARY
            )  # fmt: skip
        into = sql.SQL("insert into {} ({}) ").format(self.identifier, names)
        return create, copy, into + rows + clause

    def _on_conflict(self, fields: Fields, on_conflict: OnConflict, key: Sequence[str] | None) -> sql.Composed:
        """Return the clause, with a space before it."""
        if on_conflict == "nothing" and key is None:
            return sql.Composed([sql.SQL(" on conflict do nothing")])
        key = tuple(self.primary_key if key is None else key)
        if frozenset(key) not in self.unique_keys or not {*key} <= {*fields.names}:
            known = "; ".join(sorted(", ".join(sorted(one)) for one in self.unique_keys)) or "none"
            raise SettingError(
                f"{self.name}: on conflict needs a unique key that the records hold, and {key} is none. "
                f"Unique keys: {known}. Name one with key=, or create it."
            )
        others = [name for name in fields.names if name not in key]
        if on_conflict == "nothing" or not others:
            return sql.SQL(" on conflict ({}) do nothing").format(_names(key))
        assigned = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others]
        return sql.SQL(" on conflict ({}) do update set {}").format(_names(key), sql.SQL(", ").join(assigned))


def _names(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
