"""What the cluster's tests do to nodes and ask of rows."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import psutil
import psycopg

from loaders.cluster import LocalCluster
from loaders.connection import connect
from loaders.server import LocalServer


def each_once(connection: psycopg.Connection, records: int) -> None:
    """Assert that every record stands in the nodes once, and that the ledger says so file by file."""
    counted = connection.execute("select count(*), count(distinct id) from staging.people__rows").fetchone()
    assert counted == (records, records)
    rows = connection.execute("select _load_id, _file_id, count(*) from staging.people__rows group by 1, 2").fetchall()
    complete = connection.execute(
        "select load_id, file_id, files.records from ops.files inner join ops.loads using (load_id) "
        "where status = 'complete' and released_at is null"
    ).fetchall()
    assert sorted(rows) == sorted(complete)


def kill(node: LocalServer) -> None:
    """SIGKILL a node's postmaster and all of its processes at once, as a power failure would."""
    pid = node.pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    postmaster.send_signal(signal.SIGSTOP)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def stop_between_commits(cluster: LocalCluster, worker: LocalServer, program: str, seconds: float = 60) -> list[int]:
    """Stop the coordinator's sessions of a program once a transaction of theirs is prepared on the worker.

    Return their process ids: they have yet to tell the worker to commit.
    """
    give_up_at = time.monotonic() + seconds
    database = cluster.address.database
    with (
        connect(replace(worker.superuser_address, database=database)) as there,
        connect(replace(cluster.coordinator.superuser_address, database=database)) as here,
    ):
        while time.monotonic() < give_up_at:
            if not there.execute("select from pg_prepared_xacts").fetchone():
                continue
            sessions = here.execute("select pid from pg_stat_activity where application_name = %s", [program])
            pids = [pid for (pid,) in sessions]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            # What is prepared now stays so.
            time.sleep(0.05)
            if pids and there.execute("select from pg_prepared_xacts").fetchone():
                return pids
            go_on(pids)
    raise AssertionError("nothing was ever seen between its two commits")


def go_on(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def wait_until(answer: Callable[[], bool], seconds: float = 60, pause: float = 0.02) -> None:
    give_up_at = time.monotonic() + seconds
    while not answer():
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(pause)
