"""One worker's connection: it asks a payload and returns its result, whatever goes wrong.

Asker and TaskAsker differ in `await` alone: psycopg has two kinds of connection.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.pq import TransactionStatus

from bench.queries.drivers import CONNECT_SECONDS, sentence
from loaders.errors import ServerError

APPLICATION_NAME = "ingot queries"
# A server that is still busy for a client that is gone ends the query by itself.
SESSION = b"set client_connection_check_interval = '1s'"
READ_ONLY = b"set default_transaction_read_only = on"

Payload = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class QueryResult:
    """What one payload gave: its number, its rows, or else the error's words and SQLSTATE (None: not the server's)."""

    index: int
    rows: list[tuple[Any, ...]]
    columns: tuple[str, ...]
    seconds: float
    error: str | None = None
    sqlstate: str | None = None


# A crew's work, which ends when it is closed.
Results = Generator[QueryResult, None, None]


@dataclass(frozen=True)
class Target:
    """Where to ask, and whether queries may write."""

    conninfo: str
    is_read_only: bool

    @property
    def settings(self) -> tuple[bytes, ...]:
        """What a connection is told first."""
        return (SESSION, READ_ONLY) if self.is_read_only else (SESSION,)


class Asker:
    """A connection of a thread or a process."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connection = self._connect()

    def ask(self, index: int, payload: Payload) -> QueryResult:
        """Return a payload's result; ServerError where a connection that was lost cannot be had again."""
        if self.connection.closed:
            self.connection = self._connect()
        began = time.perf_counter()
        try:
            text, parameters = payload
            with self.connection.cursor() as cursor:
                cursor.execute(text.encode(), parameters)
                rows = cursor.fetchall() if cursor.description else []
                result = answered(index, rows, cursor.description, began)
        except Exception as error:  # whatever it is, it is this payload's
            result = failed(index, error, began)
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            # A payload that begins a transaction does not hand it on.
            with suppress(psycopg.OperationalError):
                self.connection.rollback()
        return result

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _connect(self) -> psycopg.Connection:
        try:
            connection = psycopg.connect(
                self.target.conninfo,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name=APPLICATION_NAME,
                cursor_factory=psycopg.RawCursor,
            )
            with ExitStack() as unless_ready:
                unless_ready.callback(connection.close)
                for setting in self.target.settings:
                    connection.execute(setting)
                unless_ready.pop_all()
        except psycopg.Error as error:
            raise no_connection(error) from error
        return connection


class TaskAsker:
    """A connection of a task on an event loop."""

    def __init__(self, target: Target, connection: psycopg.AsyncConnection) -> None:
        self.target = target
        self.connection = connection

    @classmethod
    async def open(cls, target: Target) -> Self:
        """Connect; ServerError where that fails."""
        return cls(target, await cls._connect(target))

    async def ask(self, index: int, payload: Payload) -> QueryResult:
        """Return a payload's result; ServerError where a connection that was lost cannot be had again."""
        if self.connection.closed:
            self.connection = await self._connect(self.target)
        began = time.perf_counter()
        try:
            text, parameters = payload
            async with self.connection.cursor() as cursor:
                await cursor.execute(text.encode(), parameters)
                rows = await cursor.fetchall() if cursor.description else []
                result = answered(index, rows, cursor.description, began)
        except Exception as error:
            result = failed(index, error, began)
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            with suppress(psycopg.OperationalError):
                await self.connection.rollback()
        return result

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    @staticmethod
    async def _connect(target: Target) -> psycopg.AsyncConnection:
        try:
            connection = await psycopg.AsyncConnection.connect(
                target.conninfo,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name=APPLICATION_NAME,
                cursor_factory=psycopg.AsyncRawCursor,
            )
            async with AsyncExitStack() as unless_ready:
                unless_ready.push_async_callback(connection.close)
                for setting in target.settings:
                    await connection.execute(setting)
                unless_ready.pop_all()
        except psycopg.Error as error:
            raise no_connection(error) from error
        return connection


def answered(
    index: int, rows: list[tuple[Any, ...]], description: Sequence[psycopg.Column] | None, began: float
) -> QueryResult:
    """Return the result of a payload that was answered."""
    return QueryResult(index, rows, tuple(column.name for column in description or ()), time.perf_counter() - began)


def failed(index: int, error: Exception, began: float | None = None) -> QueryResult:
    """Return the result of a payload that failed, or (without a beginning) was never asked."""
    seconds = 0.0 if began is None else time.perf_counter() - began
    return QueryResult(index, [], (), seconds, sentence(error), getattr(error, "sqlstate", None))


def abandoned(index: int) -> QueryResult:
    """Return the result of a payload that nobody was left to ask."""
    return failed(index, ServerError("Not asked: no worker could connect again. See that the server is up."))


def no_connection(error: psycopg.Error) -> ServerError:
    """Return the error of a worker that cannot connect."""
    return ServerError(f"No connection: {sentence(error)} Use fewer workers, or see that the server is up.")
