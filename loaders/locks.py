"""The advisory locks that loaders and dbt share, and DDL that waits for its lock without holding up readers.

An advisory lock has two numbers: a class, and a load's id or the hash of a qualified name. dbt's macros use the same.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import errors, sql

from loaders.distribution import is_cluster
from loaders.errors import LoadError
from loaders.raw_table import RawTable

# Every session of a loader, shared, while its load runs.
LOCK_LOAD = 0x49_4E_47_01
# A loader at work on a table, shared, or exclusively where it wants it alone; 0 in place of the hash: who runs DDL.
LOCK_TABLE = 0x49_4E_47_02
# What is visible of a table: shared by a dbt builder from its last look at the ledger to its commit, exclusively by
# whoever takes complete loads away.
LOCK_ROWS = 0x49_4E_47_03

HASH = "hashtext(format('%%I.%%I', %s::text, %s::text))"

# Whoever asks for a table queues behind a session that waits for its exclusive lock: so a wait lasts this long, and the
# queue runs dry before the next.
ATTEMPT_MS = 20
STATEMENT_MS = 40
# On a cluster, every node is asked for its lock, one after another.
CLUSTER_STATEMENT_MS = 500
PAUSE_SECONDS = (0.05, 0.4)


def lock_load(connection: psycopg.Connection, load_id: int) -> None:
    """Hold the load's lock in this session, beside its other holders."""
    connection.execute("select pg_advisory_lock_shared(%s, %s)", [LOCK_LOAD, load_id])


def unlock_load(connection: psycopg.Connection, load_id: int) -> None:
    """Let go of the load's lock in this session."""
    connection.execute("select pg_advisory_unlock_shared(%s, %s)", [LOCK_LOAD, load_id])


@contextmanager
def orphaned_load(connection: psycopg.Connection, load_id: int) -> Iterator[bool]:
    """Yield whether no living session holds the load's lock, and hold it meanwhile."""
    locked = connection.execute("select pg_try_advisory_lock(%s, %s)", [LOCK_LOAD, load_id]).fetchone() == (True,)
    try:
        yield locked
    finally:
        if locked:
            _unlock(connection, "select pg_advisory_unlock(%s, %s)", [LOCK_LOAD, load_id])


@contextmanager
def lock_table(connection: psycopg.Connection, table: RawTable, *, alone: bool) -> Iterator[None]:
    """Hold the table against a loader that wants it alone, or `alone` against every loader; LoadError if taken."""
    shared = "" if alone else "_shared"
    key = [LOCK_TABLE, table.schema, table.name]
    row = connection.execute(f"select pg_try_advisory_lock{shared}(%s, {HASH})".encode(), key).fetchone()
    if row != (True,):
        raise LoadError(f"{table}: another loader is at work on it. Wait for it to end, then try again.")
    try:
        yield
    finally:
        _unlock(connection, f"select pg_advisory_unlock{shared}(%s, {HASH})", key)


def _unlock(connection: psycopg.Connection, query: str, parameters: Sequence[object]) -> None:
    """Release a lock; if the session cannot, the lock ends with it.

    An error here would hide the one that ended the body: an interrupt in the middle of a query leaves a session that
    accepts no other query.
    """
    with suppress(psycopg.Error):
        connection.execute(query.encode(), parameters)


def lock_rows(connection: psycopg.Connection, table: RawTable) -> None:
    """Wait, in the caller's transaction, until no dbt builder is about to commit what it read of the table."""
    connection.execute(f"select pg_advisory_xact_lock(%s, {HASH})".encode(), [LOCK_ROWS, table.schema, table.name])


@contextmanager
def exclusive_ddl(connection: psycopg.Connection) -> Iterator[None]:
    """Run DDL in a transaction that one loader holds at a time: `if not exists` alone races with itself."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s, 0)", [LOCK_TABLE])
        # A table's lock makes the session look at what others have created while it waited; an advisory one does not.
        connection.execute("select from pg_class limit 0")
        yield


def change_tables(
    connection: psycopg.Connection,
    names: sql.Composable,
    change: Sequence[sql.Composable] | Callable[[], None],
    *,
    seconds: float,
) -> bool:
    """Make a change in a transaction that holds the named tables alone; return whether they could be had in time.

    No reader waits for longer than a try of it, tens of milliseconds, and the change itself. Statements are sent with
    the lock and the commit in one message: the readers do not wait for this process to get its turn.
    """
    deadline = time.monotonic() + seconds
    on_nodes = is_cluster(connection)
    lock = [
        sql.SQL("set local lock_timeout = {}").format(sql.Literal(ATTEMPT_MS)),
        sql.SQL("set local statement_timeout = {}").format(
            sql.Literal(CLUSTER_STATEMENT_MS if on_nodes else STATEMENT_MS)
        ),
        sql.SQL("lock table {} in access exclusive mode").format(names),
        sql.SQL("set local lock_timeout = 0"),
        sql.SQL("set local statement_timeout = 0"),
    ]
    while True:
        try:
            with exclusive_ddl(connection):
                if callable(change):
                    connection.execute(sql.SQL("; ").join(lock))
                    change()
                elif on_nodes:
                    # Of several statements in one message, Citus would hand all to the nodes for each.
                    for statement in [*lock, *change]:
                        connection.execute(sql.Composed([statement]))
                else:
                    connection.execute(sql.SQL("; ").join([*lock, *change, sql.SQL("commit; begin")]))
            return True
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
            if time.monotonic() >= deadline:
                return False
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - a pause, not a secret
