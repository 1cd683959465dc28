"""Who is the limit of a round: the processors, the client, what sessions of the server wait for, or nobody."""

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread

import psutil
import psycopg
from psycopg.rows import dict_row

from bench.cores import usable_cores
from bench.queries.drivers import APPLICATION_NAME
from bench.queries.rows import Limit
from loaders.connection import Address, connect

SAMPLE_SECONDS = 0.1
WAITS = f"""
    select coalesce(wait_event_type || ':' || wait_event, 'running'), count(*)
    from pg_stat_activity
    where application_name = '{APPLICATION_NAME}' and datname = current_database()
    group by 1
"""
DATABASE = """
    select xact_commit, xact_rollback, blks_hit, blks_read, tup_returned, tup_fetched, temp_bytes, deadlocks
    from pg_stat_database where datname = current_database()
"""
# Of all backends: a checkpoint that writes meanwhile is to be seen.
IO = """
    select sum(reads)::bigint as reads, sum(writes)::bigint as writes, sum(extends)::bigint as extends,
        sum(hits)::bigint as hits, sum(evictions)::bigint as evictions
    from pg_stat_io
"""
HAS_IO = 160000
PROGRAM = "postgres"
RUNNING, CLIENT = "running", "Client:ClientRead"
# A share of the cores, or of the samples, from which on it is the limit.
FULL, MOST = 0.85, 0.5


@dataclass(frozen=True)
class Usage:
    """Processor seconds used so far, and when that was read."""

    clock: float
    machine: float
    server: float | None


class Observer:
    """Looks at the processors and the server before, during and after a round, on a connection of its own."""

    def __init__(self, address: Address) -> None:
        """Connect; ServerError if there is no server."""
        self._connection = connect(address, application_name="ingot bench observer")
        self._postmaster = _postmaster(self._connection)
        self._has_io = self._connection.info.server_version >= HAS_IO

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def begin(self) -> None:
        """Read what has been used and counted so far, and begin to sample."""
        self._counted = self._read()
        self._waits: Counter[str] = Counter()
        self._samples = 0
        self._end = Event()
        self._sampling = Thread(target=self._sample, daemon=True)
        self._sampling.start()
        self._used = self._usage()

    def pause(self) -> None:
        """Stop the clock of the processors and the sampling: the round has ended."""
        self._after = self._usage()
        self._end.set()
        self._sampling.join()

    def end(self, client_seconds: float) -> Limit | None:
        """Return what the round has used, the client `client_seconds` of processor time; None if the server is lost."""
        counted = self._read()
        if counted is None or self._counted is None:
            return None
        seconds = self._after.clock - self._used.clock
        is_local = self._used.server is not None and self._after.server is not None
        server = ((self._after.server or 0) - (self._used.server or 0)) / seconds if is_local else None
        database, io = ({name: after[name] - before[name] for name in after} for before, after in zip(
            self._counted, counted, strict=True))  # fmt: skip
        return Limit(
            cores=usable_cores(),
            client_cores=client_seconds / seconds,
            server_cores=server,
            machine_cores=(self._after.machine - self._used.machine) / seconds if is_local else None,
            samples=self._samples,
            waits={name: count / self._waits.total() for name, count in self._waits.most_common()},
            database=database,
            io=io or None,
        )

    def _sample(self) -> None:
        with suppress(psycopg.Error):  # a server that is lost is told by the queries themselves
            while not self._end.wait(SAMPLE_SECONDS):
                self._waits.update(dict(self._connection.execute(WAITS).fetchall()))
                self._samples += 1

    def _read(self) -> tuple[dict[str, int], dict[str, int]] | None:
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                database = cursor.execute(DATABASE).fetchone() or {}
                io = (cursor.execute(IO).fetchone() or {}) if self._has_io else {}
        except psycopg.Error:
            return None
        return database, io

    def _usage(self) -> Usage:
        machine = psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        return Usage(time.perf_counter(), sum(machine[:8]) - idle, _tree_seconds(self._postmaster))


def limited_by(limit: Limit, processes: int, *, is_open: bool) -> str:
    """Say in a few words what kept a round from more."""
    used = limit.client_cores + (limit.server_cores or 0.0)
    waits = {name: share for name, share in limit.waits.items() if name not in (RUNNING, CLIENT)}
    worst = max(waits, key=lambda name: waits[name], default="")
    if limit.server_cores is not None and used >= FULL * limit.cores:
        return "the processors"
    if worst and waits[worst] >= MOST:
        return f"{worst}, for which its sessions wait"
    if limit.machine_cores is not None and limit.machine_cores >= FULL * (os.cpu_count() or 1):
        return "the processors, which other programs use too"
    if limit.client_cores >= FULL * min(limit.cores, processes):
        return "the client"
    if is_open:
        return "the rate of arrivals"
    if limit.server_cores is None and limit.waits.get(RUNNING, 0.0) >= MOST:
        return "the server, which is on another machine"
    return "the way of a query there and back: nothing is full, more connections would give more"


def limit_in_words(limit: Limit) -> str:
    """Say how much of the processors client and server used, what sessions waited for, and what the server read."""
    server = "another machine" if limit.server_cores is None else f"{limit.server_cores:.2f}"
    words = [f"Client {limit.client_cores:.2f} and server {server} of {limit.cores:g} cores"]
    if limit.machine_cores is not None and limit.server_cores is not None:
        others = max(0.0, limit.machine_cores - limit.client_cores - limit.server_cores)
        words[0] += f", other programs {others:.2f}"
    waits = [f"{name} {share:.0%}" for name, share in list(limit.waits.items())[:3]]
    words += [f"sessions: {', '.join(waits)}"] if waits else []
    read, hit = limit.database["blks_read"], limit.database["blks_hit"]
    words += [f"{hit / (hit + read):.1%} of {hit + read:,} pages in shared buffers"] if hit + read else []
    if limit.database["temp_bytes"]:
        words.append(f"{limit.database['temp_bytes'] / 1e6:,.0f} MB of temporary files")
    if limit.io and limit.io["writes"] + limit.io["extends"]:
        words.append(f"{limit.io['writes'] + limit.io['extends']:,} writes")
    return "; ".join(words)


def _postmaster(connection: psycopg.Connection) -> psutil.Process | None:
    """Return the server's first process if it runs on this machine, where its processor time can be read."""
    row = connection.execute("select extract(epoch from pg_postmaster_start_time())::float8").fetchone()
    try:
        found = psutil.Process(connection.info.backend_pid).parent()
        # A server elsewhere may have the number of a process here: it has not started in the same second.
        if found and row and PROGRAM in found.name() and abs(found.create_time() - row[0]) < 5:
            return found
    except psutil.Error:
        pass
    return None


def _tree_seconds(postmaster: psutil.Process | None) -> float | None:
    """Return the processor seconds of the server's processes, those included that have ended."""
    if postmaster is None:
        return None
    try:
        own = postmaster.cpu_times()
        total = float(own.user + own.system + getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0))
        for child in postmaster.children():
            with suppress(psutil.Error):
                used = child.cpu_times()
                total += used.user + used.system
    except psutil.Error:
        return None
    return total
