"""A session's preparation: the settings that a load needs, and the servers and poolers that it cannot use."""

import select
import time
from collections.abc import Callable
from contextlib import closing

import psycopg

from loaders.errors import ServerError

# What a load needs of its sessions, whatever the server, the database or the role say.
SETTINGS = {
    # A load takes as long as it takes, its main session is idle while the workers copy, and its undo must not be cut.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    # So that a read-only error means a standby, which is worth waiting for.
    "default_transaction_read_only": "off",
    # The ledger locks first and reads then: a snapshot of before the lock would be of no use.
    "default_transaction_isolation": "read committed",
    # The spelling of values on the wire, as psycopg reads and writes them.
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, MDY",
    # The commit that completes a load is durable. Only `off` is changed: other values are the server's choice.
    "synchronous_commit": "on",
}
# One round trip. Settings that the server does not know are left out; so are all of them behind a pooler whose session
# may be another client's next.
PREPARE = """
    select pg_backend_pid(), count(set_config(name, value, false))
    from unnest(%s::text[], %s::text[]) as wanted (name, value)
    where
        current_setting(name, true) is not null
        and (name <> 'synchronous_commit' or current_setting(name) = 'off')
        and (pg_backend_pid() = %s or %s)
"""
POOLER_ANSWER_SECONDS = 5.0
POOLER_ROUNDS = 3


def prepare_session(
    connection: psycopg.Connection, *, is_known: bool, open_another: Callable[[], psycopg.Connection]
) -> None:
    """Give a new session the settings that a load needs; ServerError if the server or a pooler cannot be used.

    `open_another` opens a second connection to the same address, `is_known` spares the search for a pooler.
    """
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise ServerError(
            f"The database {connection.info.dbname} has the encoding SQL_ASCII, which stores bytes of any encoding "
            "unchecked. Create one with `create database NAME encoding 'UTF8' template template0`, and set PGDATABASE."
        )
    if not _apply(connection, is_own=is_known):
        if _is_shared(connection, open_another):
            raise ServerError(
                "A connection pooler is between the loader and the server. It gives a server session to another client "
                "after each transaction, or has only one, but the loader needs sessions of its own for its locks. Set "
                "PGHOST and PGPORT to PostgreSQL itself, or to a pool in session mode (pgbouncer: pool_mode = session)."
            )
        _apply(connection, is_own=True)


def _apply(connection: psycopg.Connection, *, is_own: bool) -> bool:
    """Apply the settings and return True, or return False where a pooler answers and the session may be shared.

    A pooler shows in its BackendKeyData: it hands out a process id of its own, not the server's.
    """
    expected = connection.info.backend_pid
    row = connection.execute(PREPARE, [list(SETTINGS), list(SETTINGS.values()), expected, is_own]).fetchone()
    return is_own or (row is not None and row[0] == expected)


def _is_shared(connection: psycopg.Connection, open_another: Callable[[], psycopg.Connection]) -> bool:
    """Tell whether a pooler moves this session to another server process when another client has a transaction.

    A pool of one session blocks one of the two, and counts as shared. Other clients of a busy pool can hide the move in
    a round, hence several.
    """
    own_pid = "select pg_backend_pid()"
    try:
        with closing(open_another()) as other:
            for _ in range(POOLER_ROUNDS):
                before = _answer(connection, own_pid)
                taken = _answer(other, f"begin; {own_pid}")
                after = _answer(connection, own_pid)
                if before is None or taken is None or before != after or before == taken:
                    return True
                _answer(other, "rollback")
    except psycopg.OperationalError:  # a pool of statements refuses transactions
        return True
    return False


def _answer(connection: psycopg.Connection, query: str) -> bytes | None:
    """Return the last value that the query returns, None if a pooler gives no session for it in time."""
    link = connection.pgconn
    link.send_query(query.encode())
    deadline = time.monotonic() + POOLER_ANSWER_SECONDS
    value: bytes | None = None
    while True:
        while link.is_busy():
            if not select.select([link.socket], [], [], max(deadline - time.monotonic(), 0.0))[0]:
                return None
            link.consume_input()
        if (result := link.get_result()) is None:
            return value
        value = result.get_value(0, 0) if result.ntuples else value
