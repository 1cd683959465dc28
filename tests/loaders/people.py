"""People's files for the tests of whole loads: written, landed each once, loaded while something happens."""

import os
import signal
import subprocess
import time

import psycopg

from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees
from tests.waiting import wait_until, wait_while_running


def write_people(project: Project, *, files: int, records: int) -> int:
    project.declare("people")
    for number in range(files):
        first = number * records
        rows = "".join(f"{row},name {row},{'x' * 40}\n" for row in range(first, first + records))
        project.write(f"people/{number:03}.csv", "id,name,filler\n" + rows)
    return files * records


def each_once(connection: psycopg.Connection, records: int) -> None:
    assert count(connection, "select count(*) from staging.people__rows") == records
    assert count(connection, "select count(distinct id) from staging.people__rows") == records
    ledger_agrees(connection, "people")


# The loader with a pause of 0.1 s after each block of 512 KiB, so that it still copies when a signal comes.
SLOW_LOADER = """
import time
from loaders.__main__ import main
from loaders.copying import Copier

send = Copier._send


def paused(blocks):
    for block in blocks:
        yield block
        time.sleep(0.1)


Copier._send = lambda self, blocks: send(self, paused(blocks))
main()
"""


def wait_until_copying(address: Address, process: subprocess.Popen[str]) -> None:
    """Wait until a load copies."""
    copying = "application_name = 'ingot load' and datname = current_database()"
    query = f"select count(*) from pg_stat_activity where {copying}"
    with connect(address) as connection:
        wait_while_running(process, lambda: count(connection, query) > 0, pause=0.005)


def kill_in_mid_load(project: Project, number: signal.Signals, *options: str, after: float) -> tuple[int, str]:
    """Signal a load `after` seconds into its copying; return its exit code and what it said."""
    process = project.start("load", *options, script=SLOW_LOADER)
    wait_until_copying(project.address, process)
    time.sleep(after)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


def kill_and_start(server: LocalServer) -> None:
    """SIGKILL the postmaster, and start it again once it is gone."""
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid() is None)
    server.up()
