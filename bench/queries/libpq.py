"""One connection by libpq itself (psycopg.pq): prepared queries one by one, or many in pipeline mode.

Without psycopg's cursors around it, the client's share of a key lookup falls to about what pgbench's is.
"""

import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from bench.queries.benchmarks import Arguments, Benchmark

OIDS = {"integer": 23, "bigint": 20, "text": 25}
Rows = list[tuple[Any, ...]]


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
