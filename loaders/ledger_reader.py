"""The ledger read: loads, rejected records, and the models built from them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from loaders.ledger import LoadStatus
from loaders.raw_table import RawTable


@dataclass(frozen=True, kw_only=True)
class LoadRow:
    """A row of ops.loads, as `status` shows it."""

    load_id: int
    table_schema: str
    table_name: str
    status: LoadStatus
    started_at: datetime
    finished_at: datetime | None
    files: int
    bytes: int
    records: int | None
    rejected: int | None
    error: str | None

    @property
    def table(self) -> RawTable:
        """The raw table that the load is of."""
        return RawTable(schema=self.table_schema, name=self.table_name)


@dataclass(frozen=True)
class RejectedRow:
    """A record that COPY refused, where it stands and why."""

    load_id: int
    table_schema: str
    table_name: str
    path: str
    record_number: int
    byte_offset: int
    reason: str
    raw: bytes

    @property
    def table(self) -> RawTable:
        """The raw table that the record is of."""
        return RawTable(schema=self.table_schema, name=self.table_name)


class LedgerReader:
    """The ledger of all raw tables, over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def load(self, load_id: int) -> LoadRow | None:
        """Return one load."""
        return next(iter(self._loads("where load_id = %s", [load_id])), None)

    def recent_loads(self, limit: int, tables: Sequence[RawTable] = ()) -> list[LoadRow]:
        """Return the newest loads, newest first, of some tables or of all; started ones with what has landed so far."""
        names = [str(table) for table in tables] or None
        loads = self._loads(
            "where %s::text[] is null or table_schema || '.' || table_name = any(%s) "
            "order by started_at desc, load_id desc limit %s",
            [names, names, limit],
        )
        return [
            replace(load, records=self._count_landed(load.load_id))
            if load.status == "started" and load.records is None
            else load
            for load in loads
        ]

    def latest_loads(self) -> dict[RawTable, tuple[datetime, timedelta]]:
        """Return, by table, when its latest load became complete, and how long ago that is by the server's clock."""
        rows = self._connection.execute(
            """
            select table_schema, table_name, max(finished_at), clock_timestamp() - max(finished_at)
            from ops.loads
            where status in ('complete', 'pruned')
            group by table_schema, table_name
            order by table_schema, table_name
            """
        )
        return {RawTable(schema=schema, name=name): (at, age) for schema, name, at, age in rows}

    def rejects(self, load_id: int | None, limit: int) -> list[RejectedRow]:
        """Return rejected rows in the files' order, of one load or of all, the newest load first."""
        rows = self._connection.execute(
            """
            select load_id, table_schema, table_name, path, record_number, byte_offset, reason, raw
            from ops.rejected_rows
            inner join ops.files using (load_id, file_id)
            inner join ops.loads using (load_id, table_schema, table_name)
            where %(load_id)s::integer is null or load_id = %(load_id)s
            order by started_at desc, load_id desc, file_id, record_number
            limit %(limit)s
            """,
            {"load_id": load_id, "limit": limit},
        )
        return [RejectedRow(*row) for row in rows]

    def models_that_applied(self, load_id: int) -> list[str]:
        """Return the dbt models that have read a load."""
        rows = self._connection.execute(
            "select model from ops.applied_loads where load_id = %s order by model", [load_id]
        )
        return [row[0] for row in rows]

    def _count_landed(self, load_id: int) -> int | None:
        """Return how many records of a load have landed; None where they cannot be read: the ledger is shown anyway."""
        with suppress(psycopg.Error), self._connection.transaction():
            row = self._connection.execute("select ops.count_landed(%s)", [load_id]).fetchone()
            return None if row is None else row[0]
        return None

    def _loads(self, clause: str, parameters: Sequence[object]) -> list[LoadRow]:
        rows = self._connection.execute(
            "select load_id, table_schema, table_name, status, started_at, finished_at, "
            "files, bytes, records, rejected, error "
            f"from ops.loads {clause}".encode(),
            parameters,
        )
        names = [column.name for column in rows.description or []]
        return [LoadRow(**dict(zip(names, row, strict=True))) for row in rows]
