"""What the cluster's tests do to nodes and ask of rows."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import psutil
import psycopg

from loaders.cluster import LocalCluster
from loaders.connection import connect
from loaders.server import LocalServer
from tests.waiting import wait_until


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


# What a worker's transaction waits for before it is prepared.
GATE = """
set citus.enable_ddl_propagation = off;
set citus.enable_manual_changes_to_shards = on;
create or replace function public.wait_at_the_gate() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1);
    return null;
end
$$;
"""


@contextmanager
def between_commits(cluster: LocalCluster, table: str) -> Iterator["Gate"]:
    """Let transactions that write the table be prepared on the first worker, and stop before that on the second."""
    first, second = cluster.workers
    address = replace(second.superuser_address, database=cluster.address.database)
    with connect(cluster.address) as coordinator:
        shards = coordinator.execute(
            "select distinct shard_name from citus_shards where table_name = %s::regclass and nodeport = %s",
            [table, second.address.port],
        ).fetchall()
    assert shards
    with connect(address) as gate, connect(replace(address, port=first.address.port)) as there:
        gate.execute(GATE)
        for (shard,) in shards:
            # A deferred trigger is the last that runs before a transaction is prepared.
            gate.execute(
                f"create constraint trigger gate after insert or update on {shard} deferrable initially deferred "
                "for each row execute function public.wait_at_the_gate()".encode()
            )
        gate.execute("select pg_advisory_lock(1)")
        yield Gate(gate, there)


@dataclass(frozen=True)
class Gate:
    """Where transactions stop: sessions of the second worker, which holds it shut, and of the first."""

    keeper: psycopg.Connection
    watcher: psycopg.Connection

    def wait(self) -> None:
        """Wait until a transaction stands there."""
        wait_until(lambda: self.watcher.execute("select from pg_prepared_xacts").fetchone() is not None)

    def open(self) -> None:
        """Let the coordinator commit."""
        self.keeper.execute("select pg_advisory_unlock(1)")
