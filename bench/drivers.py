"""One prepared query on one connection, by asyncpg or by psycopg."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
from psycopg.types.numeric import Int4, Int8

from bench.benchmarks import Benchmark
from bench.errors import QueryFailed
from loaders.connection import Address
from loaders.errors import ServerError

APPLICATION_NAME = "ingot bench"
CONNECT_SECONDS = 10
# What a query, a broken connection or a server that goes away raises, by either driver (TimeoutError is an OSError).
QUERY_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, psycopg.Error, OSError)


@dataclass(frozen=True)
class Session:
    """A connection that has prepared one query: `ask` runs it and returns all its rows."""

    ask: Callable[..., Awaitable[Any]]
    is_closed: Callable[[], bool]
    close: Callable[[], Awaitable[None]]


async def open_asyncpg(address: Address, benchmark: Benchmark) -> Session:
    """Connect by asyncpg and prepare the query once."""
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
        statement = await connection.prepare(benchmark.sql)
    except BaseException:
        connection.terminate()
        raise
    # What statement.fetch calls, without the checks around it: 10 to 15 % of the client's time a query. asyncpg is
    # pinned to a minor version for this. No limit on rows: a query with one gets no parallel workers.
    execute = connection._protocol.bind_execute

    def ask(*arguments: int) -> Awaitable[Any]:
        return execute(statement._state, arguments, "", 0, False, None)  # type: ignore[no-any-return]

    return Session(ask, connection.is_closed, connection.close)


async def open_psycopg(address: Address, benchmark: Benchmark) -> Session:
    """Connect by psycopg; its first execution prepares the query, the later ones reuse it."""
    connection = await psycopg.AsyncConnection.connect(
        address.conninfo,
        autocommit=True,
        prepare_threshold=0,
        cursor_factory=psycopg.AsyncRawCursor,
        connect_timeout=CONNECT_SECONDS,
        application_name=APPLICATION_NAME,
    )
    cursor, sql = connection.cursor(), benchmark.sql.encode()
    # psycopg types an integer by its size; one declared type means one prepared statement.
    types = [Int8 if parameter.type == "bigint" else Int4 for parameter in benchmark.parameters]

    async def ask(*arguments: int) -> Any:
        await cursor.execute(sql, [type_(value) for type_, value in zip(types, arguments, strict=True)])
        return await cursor.fetchall()

    return Session(ask, lambda: connection.closed, connection.close)


DRIVERS = {"asyncpg": open_asyncpg, "psycopg": open_psycopg}


async def open_session(driver: str, address: Address, benchmark: Benchmark) -> Session:
    """Open a session; QueryFailed if the query cannot be prepared, ServerError if no connection can be had."""
    try:
        return await DRIVERS[driver](address, benchmark)
    except asyncpg.SyntaxOrAccessError as error:
        raise QueryFailed(
            f"{benchmark.name} cannot be prepared: {sentence(error)} Build what it reads with `dbt build`."
        ) from error
    except QUERY_ERRORS as error:
        raise ServerError(
            f"{address.url}: no connection for {benchmark.name}: {sentence(error)} "
            "Use fewer --connections, or see that the server is up."
        ) from error


def sentence(error: BaseException) -> str:
    """Return the first line of an error's words, or its type's name where it has none, as a sentence."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."
