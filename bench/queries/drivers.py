"""Prepared queries on one connection, by asyncpg, psycopg, libpq or DuckDB."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import duckdb
import psycopg
from psycopg.types.numeric import Int4, Int8

from bench.duckdb_copy import copied_tables
from bench.errors import QueryFailed
from bench.queries.benchmarks import Argument, Arguments, Benchmark
from bench.queries.libpq import LibpqConnection, Reply
from loaders.connection import Address
from loaders.errors import ServerError

APPLICATION_NAME = "ingot bench"
CONNECT_SECONDS = 10
# What a query, a broken connection or a server that goes away raises, by any driver (TimeoutError is an OSError).
QUERY_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, psycopg.Error, duckdb.Error, OSError)
PSYCOPG_TYPES: dict[str, Callable[[Any], Any]] = {"integer": Int4, "bigint": Int8, "text": str}

Ask = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Session:
    """A connection that has prepared queries: `asks` has a function a query, which runs it and returns all its rows.

    `ask_many` sends several at once: the number of each query and its arguments, in the order of their replies.
    """

    asks: Sequence[Ask]
    is_closed: Callable[[], bool]
    close: Callable[[], Awaitable[None]]
    ask_many: Callable[[Sequence[tuple[int, Arguments]]], list[Reply]] | None = None


@dataclass(frozen=True)
class Driver:
    """A way to ask: how to open a session, and whether its calls block, so that each connection needs a thread."""

    open: Callable[[Address, Sequence[Benchmark]], Awaitable[Session]]
    blocks: bool = False
    is_pipelined: bool = False
    # Whether connections share what they read within the process, so that a second process would copy it again.
    is_in_process: bool = False


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
    # What statement.fetch calls, without the checks around it: 10 to 15 % of the client's time a query. asyncpg is
    # pinned to a minor version for this. No limit on rows: a query with one gets no parallel workers.
    execute = connection._protocol.bind_execute

    def asking(statement: Any) -> Ask:
        def ask(*arguments: Argument) -> Awaitable[Any]:
            return execute(statement._state, arguments, "", 0, False, None)  # type: ignore[no-any-return]

        return ask

    return Session([asking(one) for one in statements], connection.is_closed, connection.close)


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

    def asking(benchmark: Benchmark) -> Ask:
        sql = benchmark.sql.encode()
        # psycopg types an integer by its size; one declared type means one prepared statement.
        types = [PSYCOPG_TYPES[parameter.type] for parameter in benchmark.parameters]

        async def ask(*arguments: Argument) -> Any:
            await cursor.execute(sql, [type_(value) for type_, value in zip(types, arguments, strict=True)])
            return await cursor.fetchall()

        return ask

    return Session([asking(one) for one in benchmarks], lambda: connection.closed, connection.close)


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

    def asking(number: int) -> Ask:
        async def ask(*arguments: Argument) -> Any:
            return libpq.execute(number, arguments)

        return ask

    async def close() -> None:
        connection.close()

    asks = [asking(number) for number in range(len(benchmarks))]
    return Session(asks, lambda: connection.closed, close, libpq.execute_many)


async def open_duckdb(address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Open a cursor on this process's copy, in memory, of what the queries read."""
    cursor = copied_tables(address, benchmarks)

    def asking(sql: str) -> Ask:
        async def ask(*arguments: Argument) -> Any:
            return cursor.execute(sql, arguments).fetchall()

        return ask

    async def close() -> None:
        cursor.close()

    return Session([asking(one.sql) for one in benchmarks], lambda: False, close)


DRIVERS = {
    "asyncpg": Driver(open_asyncpg),
    "psycopg": Driver(open_psycopg),
    "libpq": Driver(open_libpq, blocks=True),
    "psycopg-pipeline": Driver(open_libpq, blocks=True, is_pipelined=True),
    "duckdb": Driver(open_duckdb, blocks=True, is_in_process=True),
}


async def open_session(driver: str, address: Address, benchmarks: Sequence[Benchmark]) -> Session:
    """Open a session; QueryFailed if a query cannot be prepared, ServerError if no connection can be had."""
    names = ", ".join(one.name for one in benchmarks)
    try:
        return await DRIVERS[driver].open(address, benchmarks)
    except (asyncpg.SyntaxOrAccessError, psycopg.ProgrammingError, duckdb.Error) as error:
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
