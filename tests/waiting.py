"""Waits for what will certainly happen: they fail only where something hangs."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import psycopg

OTHERS = (
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"
)


def wait_until(answer: Callable[[], bool], seconds: float = 60, pause: float = 0.02) -> None:
    give_up_at = time.monotonic() + seconds
    while not answer():
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(pause)


def wait_while_running(process: subprocess.Popen[Any], answer: Callable[[], bool], pause: float = 0.02) -> None:
    """Wait as `wait_until`, for what the process does; an error as soon as it has ended."""

    def running_and_answered() -> bool:
        assert process.poll() is None, "the process has ended"
        return answer()

    wait_until(running_and_answered, pause=pause)


def wait_for_statistics(connection: psycopg.Connection) -> None:
    """Wait until the database's other sessions have ended, and so reported what they read and wrote."""
    wait_until(lambda: connection.execute(OTHERS).fetchone() == (0,))
    connection.execute("select pg_stat_force_next_flush()")
