"""Time queries n times over C connections, spread over the machine's cores as `pgbench --jobs` does.

One process is bound to one core, and a key lookup keeps it busy: on two cores, two processes answered 1.6 times as
many a second as one.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import BrokenBarrierError
from typing import Any

from bench.errors import ToolError
from bench.queries.arrivals import scheduled
from bench.queries.benchmarks import Benchmark
from bench.queries.drivers import DRIVERS
from bench.queries.latency import NS_PER_SECOND, Summary, shares, slices, summarise
from bench.queries.process import Crew, Part, run_crew
from bench.queries.worker import Mix, Run

TOTAL = "total"


@dataclass(frozen=True)
class Row:
    """One measured row: the query, how many were asked for (None: as many as the time allows), and what came out."""

    benchmark: Benchmark
    count: int | None
    summary: Summary


def measure(benchmark: Benchmark, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time one query, a row a count, on connections that are opened and warmed up before the clock starts."""
    return measure_mix(Mix.of(benchmark), counts, run)


def measure_mix(mix: Mix, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time a mix: for each count a row a query and, where there are several queries, one of all together."""
    spawn = get_context("spawn")
    shared = slices(shares(run.connections, processes(run)))
    crews = [Crew(mix, counts, run, workers, number, len(shared)) for number, workers in enumerate(shared)]
    barrier = spawn.Barrier(sum(len(crew.lanes) for crew in crews))
    members: list[SpawnProcess] = []
    inboxes: list[Connection[Any, Any]] = []
    try:
        for crew in crews:
            inbox, outbox = spawn.Pipe(duplex=False)
            member = spawn.Process(target=run_crew, args=(outbox, barrier, crew), daemon=True)
            _start_without_interrupts(member)
            outbox.close()  # the process holds the only other end, so that its death is seen
            members.append(member)
            inboxes.append(inbox)
        crew_parts = _collect(inboxes)
    finally:
        for member in members:
            member.terminate()
            member.join()
        for inbox in inboxes:
            inbox.close()
    rows = []
    for count, parts in zip(counts, zip(*crew_parts, strict=True), strict=True):
        rows += _rows(mix, count, run, parts)
    return rows


def processes(run: Run) -> int:
    """Return the number of processes: as asked for or one a core, with at least one connection each."""
    if DRIVERS[run.driver].is_in_process:
        return 1
    return min(run.connections, run.processes or os.cpu_count() or 1)


def _start_without_interrupts(member: SpawnProcess) -> None:
    """Start a process that never sees Ctrl-C, which a terminal sends to all: this one ends the others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        member.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect(inboxes: Sequence["Connection[Any, Any]"]) -> list[list[Part]]:
    """Receive each process's parts; raise the first failure that is not merely the end of another one's."""
    waiting, received = list(inboxes), []
    while waiting:
        for inbox in wait(waiting):
            assert isinstance(inbox, Connection)  # noqa: S101 - wait() returns what it was given
            waiting.remove(inbox)
            try:
                result = inbox.recv()
            except EOFError as error:
                raise ToolError(
                    "One of the benchmark's processes ended early. Use fewer --connections if memory is short."
                ) from error
            if isinstance(result, BrokenBarrierError):
                continue
            if isinstance(result, BaseException):
                raise result
            received.append(result)
    if len(received) < len(inboxes):
        raise ToolError("The benchmark's processes stopped waiting for each other. Try again.")
    return received


def _rows(mix: Mix, count: int | None, run: Run, parts: Sequence[Part]) -> list[Row]:
    """Merge the parts of one count, from the first process's start to the last one's end."""
    seconds = (max(part.ended_ns for part in parts) - min(part.began_ns for part in parts)) / NS_PER_SECOND
    by_query = list(zip(*(part.counts for part in parts), strict=True))
    sent = sum(one.done + one.errors for one in by_query[-1])
    whole = summarise(
        by_query[-1],
        seconds,
        overhead_us=sum(part.processor_ns for part in parts) / sent / 1000 if sent else None,
        late=None if run.rate is None else sum(part.late for part in parts),
        unsent=None if run.rate is None else scheduled(run.rate, run.seconds, count) - sent,
    )
    if len(mix.benchmarks) == 1:
        return [Row(mix.benchmarks[0], count, whole)]
    each = [Row(one, None, summarise(some, seconds)) for one, some in zip(mix.benchmarks, by_query[:-1], strict=True)]
    return [*each, Row(Benchmark(TOTAL, "mix", "mix", "", ()), count, whole)]
