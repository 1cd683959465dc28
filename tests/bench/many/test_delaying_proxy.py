"""A proxy that delays answers as a network does, and throttles nothing."""

import time
from dataclasses import replace

import psycopg
import pytest

from bench.many.delaying_proxy import delaying_proxy
from loaders.connection import Address

DELAY_MS = 60


def test_an_answer_takes_the_delay_and_bytes_take_no_more(address: Address) -> None:
    with delaying_proxy(address.host, address.port, DELAY_MS) as port:
        through = replace(address, host="127.0.0.1", port=port)
        with psycopg.connect(through.conninfo, autocommit=True) as connection:
            fastest = min(timed(connection, "select 1") for _ in range(5))
            assert fastest >= DELAY_MS / 1000
            # 16 MB in one answer, in 244 blocks and more: if each waited for the last one, it would take 7 s.
            assert timed(connection, "select repeat('x', 1000) from generate_series(1, 16000)") < 244 * DELAY_MS / 2000
            with connection.cursor().copy("copy (select generate_series(1, 100000)) to stdout") as copy:
                assert sum(1 for _ in copy.rows()) == 100_000
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(through.conninfo, connect_timeout=2)


def test_a_server_that_is_not_there_is_no_answer(address: Address) -> None:
    with delaying_proxy(address.host, 1, DELAY_MS) as port, pytest.raises(psycopg.OperationalError):
        psycopg.connect(replace(address, host="127.0.0.1", port=port).conninfo, connect_timeout=5)


def timed(connection: psycopg.Connection, query: str) -> float:
    began = time.perf_counter()
    connection.execute(query.encode()).fetchall()
    return time.perf_counter() - began
