"""What the cluster's tests do to nodes and ask of rows."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def between_commits(cluster: LocalCluster, worker: LocalServer, other: LocalServer) -> Iterator[None]:
    """Hold a transaction where the worker has prepared it, and the coordinator has yet to hear so of the other one.

    The other worker gets 10 ms at a time, so that whatever the transaction does last, it is this that is seen.
    """
    address = replace(worker.superuser_address, database=cluster.address.database)
    give_up_at = time.monotonic() + 120
    with connect(address) as connection:
        while True:
            _signal(other, signal.SIGSTOP)
            for _ in range(20):
                if connection.execute("select from pg_prepared_xacts").fetchone():
                    break
                time.sleep(0.005)
            else:
                _signal(other, signal.SIGCONT)
                assert time.monotonic() < give_up_at, "nothing was seen between its two commits"
                time.sleep(0.01)
                continue
            break
    try:
        yield
    finally:
        _signal(other, signal.SIGCONT)


def _signal(node: LocalServer, number: signal.Signals) -> None:
    pid = node.pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def wait_until(answer: Callable[[], bool], seconds: float = 60, pause: float = 0.02) -> None:
    give_up_at = time.monotonic() + seconds
    while not answer():
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(pause)
