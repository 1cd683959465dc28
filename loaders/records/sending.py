"""How the rows of a chunk go to the server: by COPY, by COPY and an upsert, or by executemany; one transaction each."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import errors, sql
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from loaders.records.rows import Fields, Row
from loaders.records.target_table import OnConflict, TargetTable

# Tasks that insert the same keys in different orders deadlock. The one that lost had no effect, and is run again.
RETRYING = AsyncRetrying(
    retry=retry_if_exception_type((errors.DeadlockDetected, errors.SerializationFailure)),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_attempt(6),
    reraise=True,
)
# The role may make no temporary tables, two rows are one key to the index alone, or the engine has no such INSERT.
NO_TEMPORARY_TABLE = (errors.InsufficientPrivilege, errors.CardinalityViolation, errors.FeatureNotSupported)


class Sender:
    """Send chunks of rows into one table; several tasks of one event loop may share it.

    COPY is the fastest where no key is there already. At the first that is, rows go by COPY into a temporary table and
    by INSERT ... SELECT ... ON CONFLICT from there: for the server one statement a chunk, not one a row.
    """

    def __init__(
        self,
        target: TargetTable,
        fields: Fields,
        on_conflict: OnConflict | None,
        key: Sequence[str] | None,
        *,
        use_copy: bool,
    ) -> None:
        self._insert = target.insert_statement(fields, on_conflict, key)
        self._copy = target.copy_statement(fields)
        self._upsert = None if on_conflict is None else target.upsert_statements(fields, on_conflict, key)
        self._use_copy = use_copy
        self._has_conflicts = False

    async def send(self, connection: psycopg.AsyncConnection[Any], rows: Sequence[Row]) -> int:
        """Insert the rows in one transaction, and return how many the server counted."""
        if self._use_copy and not self._has_conflicts:
            try:
                return await _copy(connection, self._copy, rows)
            except (errors.UniqueViolation, errors.ExclusionViolation):
                if self._upsert is None:
                    raise
                self._has_conflicts = True
        if self._use_copy:
            try:
                return await RETRYING.copy()(self._copy_and_upsert, connection, rows)
            except NO_TEMPORARY_TABLE:
                pass
        return await RETRYING.copy()(self._execute_many, connection, rows)

    async def _copy_and_upsert(self, connection: psycopg.AsyncConnection[Any], rows: Sequence[Row]) -> int:
        assert self._upsert is not None  # noqa: S101 - without ON CONFLICT a conflict is raised
        create, copy, upsert = self._upsert
        async with connection.transaction(), psycopg.AsyncCursor(connection) as cursor:
            await cursor.execute(create, prepare=False)
            await _write(cursor, copy, ((position, *row) for position, row in enumerate(rows)))
            await cursor.execute(upsert, prepare=False)
            return cursor.rowcount

    async def _execute_many(self, connection: psycopg.AsyncConnection[Any], rows: Sequence[Row]) -> int:
        async with connection.transaction(), psycopg.AsyncRawCursor(connection) as cursor:
            await cursor.executemany(self._insert, rows)
            return cursor.rowcount


async def _copy(connection: psycopg.AsyncConnection[Any], statement: sql.Composed, rows: Sequence[Row]) -> int:
    async with connection.transaction(), psycopg.AsyncCursor(connection) as cursor:
        await _write(cursor, statement, rows)
        return cursor.rowcount


async def _write(cursor: psycopg.AsyncCursor[Any], statement: sql.Composed, rows: Iterable[Row]) -> None:
    async with cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)
