"""How often a reader meets a commit that one node shows and another does not yet: `pytest -m slow -s` prints it."""

import threading
import time

import pytest

from loaders.connection import Address, connect

SECONDS, READERS, PAUSE_SECONDS = 20, 2, 0.05
VALUES = "select min(value), max(value), count(*) from public.numbers"


@pytest.mark.slow
def test_a_commit_across_nodes_is_seen_in_part_for_a_moment(address: Address) -> None:
    over = threading.Event()
    mixed: list[bool] = []
    commits = 0

    def read() -> None:
        with connect(address) as connection:
            while not over.is_set():
                least, most, _ = connection.execute(VALUES).fetchone()  # type: ignore[misc]
                mixed.append(least != most)

    with connect(address) as connection:
        connection.execute("drop table if exists public.numbers")
        connection.execute("create table public.numbers (number integer primary key, value integer)")
        connection.execute("select create_distributed_table('public.numbers', 'number')")
        connection.execute("insert into public.numbers select number, 0 from generate_series(1, 2000) as s (number)")
        readers = [threading.Thread(target=read) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        ends_at = time.monotonic() + SECONDS
        while time.monotonic() < ends_at:
            commits += 1
            connection.execute("update public.numbers set value = %s", [commits])
            time.sleep(PAUSE_SECONDS)
        over.set()
        for reader in readers:
            reader.join()
        assert connection.execute(VALUES).fetchone() == (commits, commits, 2000), "whole, once it is over"
        connection.execute("drop table public.numbers")
    print(f"\n{len(mixed)} reads, {sum(mixed)} mixed, {commits} commits")
