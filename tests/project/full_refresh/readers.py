"""Readers that ask without a pause while something else goes on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from loaders.connection import Address, connect


@contextmanager
def readers(
    address: Address, queries: list[str], *, longest_wait_ms: int = 0
) -> Iterator[list[tuple[float, str, object]]]:
    """Ask each query in a loop, in a thread of its own; yield a list of (seconds, query, answer or error).

    A longer wait for a lock is an error; 0 is no limit.
    """
    answers: list[tuple[float, str, object]] = []
    stop = threading.Event()

    def read(query: str) -> None:
        with connect(address) as connection:
            connection.execute(f"set lock_timeout = {longest_wait_ms}")
            # A pause, because threads that never sleep would take the interpreter from dbt.
            while not stop.wait(0.002):
                began = time.monotonic()
                try:
                    answer: object = connection.execute(query).fetchone()
                except psycopg.Error as error:
                    answer = error
                answers.append((time.monotonic() - began, query, answer))

    threads = [threading.Thread(target=read, args=[query]) for query in queries]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
