"""People's files for the tests of whole loads: written, landed each once, loaded while something happens."""

import signal
import time

import psycopg

from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees


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


def kill_in_mid_load(
    project: Project, connection: psycopg.Connection, number: signal.Signals, *options: str, after: float
) -> tuple[int, str]:
    """Signal a load `after` seconds into its copying; return its exit code and what it said."""
    process = project.start("load", *options)
    deadline = time.monotonic() + 30
    while not connection.execute(
        "select 1 from pg_stat_activity where application_name = 'ingot load' and datname = current_database()"
    ).fetchone():
        assert process.poll() is None
        assert time.monotonic() < deadline
    time.sleep(after)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said
