"""One worker's connection: it runs a payload and returns its result, whatever goes wrong."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from bench.queries.drivers import CONNECT_SECONDS, sentence
from loaders.errors import ServerError

APPLICATION_NAME = "ingot queries"
# A server that is still busy for a client that is gone ends the query by itself.
SESSION = b"set client_connection_check_interval = '1s'"
CANCEL_SECONDS = 0.2
READ_ONLY = b"set default_transaction_read_only = on"

Payload = tuple[str, Sequence[Any]]
Rows = list[tuple[Any, ...]]
Function = Callable[["QueryResult"], Any]


@dataclass(frozen=True)
class QueryResult:
    """What one payload gave: its number, its rows, or else the error's words and SQLSTATE (None: not the server's).

    Where run_queries was given a function, `value` is what it returned for the result, and `rows` is empty.
    """

    index: int
    rows: Rows
    columns: tuple[str, ...]
    seconds: float
    error: str | None = None
    sqlstate: str | None = None
    value: Any = None


@dataclass(frozen=True)
class Target:
    """Where to run queries, whether they may write, and the function that is applied to their results."""

    conninfo: str
    is_read_only: bool
    function: Function | None = None


class Connection:
    """A connection of a thread or a process."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.psycopg = self._connect()

    def run(self, index: int, payload: Payload) -> QueryResult:
        """Return a payload's result; ServerError where a connection that was lost cannot be had again."""
        if self.psycopg.closed:
            self.psycopg = self._connect()
        began = time.perf_counter()
        try:
            text, parameters = payload
            with self.psycopg.cursor() as cursor:
                cursor.execute(text.encode(), parameters)
                rows = cursor.fetchall() if cursor.description else []
                columns = tuple(column.name for column in cursor.description or ())
            result = QueryResult(index, rows, columns, time.perf_counter() - began)
            if self.target.function is not None:
                value = self.target.function(result)
                result = replace(result, rows=[], value=value, seconds=time.perf_counter() - began)
        except Exception as error:  # whatever it is, it is this payload's
            result = failed(index, error, began)
        if self.psycopg.info.transaction_status != TransactionStatus.IDLE:
            # A payload that begins a transaction does not hand it on.
            with suppress(psycopg.OperationalError):
                self.psycopg.rollback()
        return result

    def cancel(self) -> None:
        """End what runs."""
        with suppress(psycopg.Error):
            self.psycopg.cancel_safe(timeout=CANCEL_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self.psycopg.close()

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
                connection.execute(SESSION)
                if self.target.is_read_only:
                    connection.execute(READ_ONLY)
                unless_ready.pop_all()
        except psycopg.Error as error:
            said = f"No connection: {sentence(error)} Use fewer workers, or see that the server is up."
            raise ServerError(said) from error
        return connection


def failed(index: int, error: Exception, began: float | None = None) -> QueryResult:
    """Return the result of a payload that failed, or (without a beginning) was never run."""
    seconds = 0.0 if began is None else time.perf_counter() - began
    return QueryResult(index, [], (), seconds, sentence(error), getattr(error, "sqlstate", None))
