"""Prepared queries on one connection, by asyncpg, psycopg or libpq (psycopg.pq).

By libpq itself, without psycopg's cursors around it, the client's share of a key lookup falls to about pgbench's.
"""

import select
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.types.numeric import Int4, Int8

from bench.errors import QueryFailed
from bench.queries.benchmarks import Argument, Arguments, Benchmark
from loaders.connection import Address
from loaders.errors import ServerError

OIDS = {"integer": 23, "bigint": 20, "text": 25}
Rows = list[tuple[Any, ...]]
APPLICATION_NAME = "ingot bench"
CONNECT_SECONDS = 10
# What a query, a broken connection or a server that goes away raises, by any driver (TimeoutError is an OSError).
QUERY_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, psycopg.Error, OSError)
PSYCOPG_TYPES: dict[str, Callable[[Any], Any]] = {"integer": Int4, "bigint": Int8, "text": str}

Fetch = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query of a pipeline brought: its rows or its error, and the clock's ns when it was sent and answered."""

    rows: Rows | None
    error: psycopg.Error | None
    sent_ns: int
    answered_ns: int


class LibpqConnection:
    """A connection with its queries prepared under their numbers."""

    def __init__(self, connection: psycopg.Connection, benchmarks: Sequence[Benchmark]) -> None:
        self._connection = connection
        self._libpq = self._connection.pgconn
        self._names = [f"query_{number}".encode() for number in range(len(benchmarks))]
        # A query's rows have the same types each time: its loaders are found once.
        self._decoders: dict[int, Any] = {}
        self._readable = select.poll()
        self._readable.register(self._libpq.socket, select.POLLIN)
        for name, benchmark in zip(self._names, benchmarks, strict=True):
            oids = [OIDS[parameter.type] for parameter in benchmark.parameters]
            self._checked(self._libpq.prepare(name, benchmark.sql.encode(), oids))

    def execute(self, number: int, arguments: Arguments) -> Rows:
        """Run a query and return its rows; psycopg.Error carries the server's words."""
        return self._rows(number, self._libpq.exec_prepared(self._names[number], _encoded(arguments)))

    def execute_many(self, queries: Sequence[tuple[int, Arguments]]) -> list[Reply]:
        """Send all queries with one sync after the last, and return their replies in order.

        As after any sync, the queries behind one that failed are not run: they fail too. psycopg.OperationalError if
        the connection ends.
        """
        libpq, clock, sent = self._libpq, time.perf_counter_ns, []
        libpq.enter_pipeline_mode()
        for number, arguments in queries:
            sent.append(clock())
            libpq.send_query_prepared(self._names[number], _encoded(arguments))
        libpq.pipeline_sync()
        replies = []
        for (number, _), sent_ns in zip(queries, sent, strict=True):
            result = self._next_result()
            if result is None:
                raise psycopg.OperationalError("the connection ended amid a pipeline")
            try:
                rows, error = self._rows(number, result), None
            except psycopg.Error as failure:
                rows, error = None, failure
            replies.append(Reply(rows, error, sent_ns, clock()))
            self._next_result()
        self._next_result()  # the sync's
        libpq.exit_pipeline_mode()
        return replies

    def _next_result(self) -> pq.abc.PGresult | None:
        """Wait for a result with the interpreter's lock released, which PQgetResult here does not do."""
        while self._libpq.is_busy():
            self._readable.poll()
            self._libpq.consume_input()
        return self._libpq.get_result()

    def _rows(self, number: int, result: pq.abc.PGresult) -> Rows:
        """Return a result's rows as Python's values."""
        self._checked(result)
        decoder = self._decoders.get(number)
        if decoder is None:
            decoder = self._decoders[number] = Transformer(self._connection)
            decoder.set_pgresult(result)
        else:
            decoder.set_pgresult(result, set_loaders=False)
        rows: Rows = decoder.load_rows(0, result.ntuples, tuple)
        return rows

    def _checked(self, result: pq.abc.PGresult) -> pq.abc.PGresult:
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise error_from_result(result)
        return result


def _encoded(arguments: Arguments) -> list[bytes]:
    return [str(argument).encode() for argument in arguments]


@dataclass(frozen=True)
class Session:
    """A connection that has prepared queries: `fetch` has a function a query, which runs it and returns all its rows.

    `fetch_many` sends several at once: the number of each query and its arguments, in the order of their replies.
    """

    fetch: Sequence[Fetch]
    is_closed: Callable[[], bool]
    close: Callable[[], Awaitable[None]]
    fetch_many: Callable[[Sequence[tuple[int, Arguments]]], list[Reply]] | None = None


@dataclass(frozen=True)
class Driver:
    """How to open a session, and whether its calls block, so that each connection needs a thread."""

    open: Callable[[Address, Sequence[Benchmark]], Awaitable[Session]]
    blocks: bool = False
    is_pipelined: bool = False


async def open_asyncpg(address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Connect by asyncpg and prepare each query once."""
    connection = await asyncpg.connect(
        host=address.host,
        port=address.port,
        database=address.database,
        user=address.user,
        password=address.password,
        timeout=CONNECT_SECONDS,
        server_settings={"application_name": APPLICATION_NAME},
    )
    try:
        statements = [await connection.prepare(benchmark.sql) for benchmark in benchmarks]
    except BaseException:
        connection.terminate()
        raise
    return Session([one.fetch for one in statements], connection.is_closed, connection.close)


async def open_psycopg(address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Connect by psycopg; the first execution prepares a query, the later ones reuse it."""
    connection = await psycopg.AsyncConnection.connect(
        address.conninfo,
        autocommit=True,
        prepare_threshold=0,
        cursor_factory=psycopg.AsyncRawCursor,
        connect_timeout=CONNECT_SECONDS,
        application_name=APPLICATION_NAME,
    )
    cursor = connection.cursor()

    def fetching(benchmark: Benchmark) -> Fetch:
        sql = benchmark.sql.encode()
        # psycopg types an integer by its size; one declared type means one prepared statement.
        types = [PSYCOPG_TYPES[parameter.type] for parameter in benchmark.parameters]

        async def fetch(*arguments: Argument) -> Any:
            await cursor.execute(sql, [type_(value) for type_, value in zip(types, arguments, strict=True)])
            return await cursor.fetchall()

        return fetch

    return Session([fetching(one) for one in benchmarks], lambda: connection.closed, connection.close)


async def open_libpq(address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Connect by libpq and prepare each query once; every call blocks its thread, as in a C client."""
    connection = psycopg.connect(
        address.conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=APPLICATION_NAME
    )
    try:
        libpq = LibpqConnection(connection, benchmarks)
    except BaseException:
        connection.close()
        raise

    def fetching(number: int) -> Fetch:
        async def fetch(*arguments: Argument) -> Any:
            return libpq.execute(number, arguments)

        return fetch

    async def close() -> None:
        connection.close()

    fetch = [fetching(number) for number in range(len(benchmarks))]
    return Session(fetch, lambda: connection.closed, close, libpq.execute_many)


async def _open_duckdb(_: Address, benchmarks: Sequence[Benchmark]) -> Session:
    # Imported where it is used: 30 MiB that no other driver pays.
    from bench.queries.duckdb_driver import open_file

    file = open_file(benchmarks)
    return Session(file.fetch, lambda: False, file.close)


DRIVERS = {
    "asyncpg": Driver(open_asyncpg),
    "psycopg": Driver(open_psycopg),
    "libpq": Driver(open_libpq, blocks=True),
    "psycopg-pipeline": Driver(open_libpq, blocks=True, is_pipelined=True),
    "duckdb": Driver(_open_duckdb, blocks=True),
}


async def open_session(driver: str, address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Open a session; QueryFailed if a query cannot be prepared, ServerError if no connection can be had."""
    names = ", ".join(one.name for one in benchmarks)
    try:
        return await DRIVERS[driver].open(address, benchmarks)
    except (asyncpg.SyntaxOrAccessError, psycopg.ProgrammingError) as error:
        raise QueryFailed(
            f"{names} cannot be prepared: {sentence(error)} Build what it reads with `dbt build`."
        ) from error
    except QUERY_ERRORS as error:
        raise ServerError(
            f"{address.url}: no connection for {names}: {sentence(error)} "
            "Use fewer --connections, or see that the server is up."
        ) from error


def sentence(error: BaseException) -> str:
    """Return the first line of an error's words, or its type's name where it has none, as a sentence."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."
