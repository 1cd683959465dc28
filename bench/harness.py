"""Time a query n times over C connections, spread over the machine's cores as `pgbench --jobs` does.

One process is bound to one core, and a key lookup keeps it busy: on two cores, two processes answered 1.6 times as
many a second as one.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any

from bench.benchmarks import Benchmark
from bench.errors import ToolError
from bench.latency import Summary, Tally, shares, slices, summarise
from bench.workers import Run, Workload, open_sessions, run_async, run_workers, warm_up


@dataclass(frozen=True)
class Row:
    """One measured row: the query, how many were asked for (None: as many as the time allows), and what came out."""

    benchmark: Benchmark
    count: int | None
    summary: Summary


@dataclass(frozen=True)
class Part:
    """What one process saw of one row; the clock is the machine's, so that parts compare."""

    began_ns: int
    ended_ns: int
    tallies: list[Tally]


def measure(benchmark: Benchmark, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time one query, a row a count, on connections that are opened and warmed up before the clock starts."""
    spawn = get_context("spawn")
    crews = slices(shares(run.connections, processes(run)))
    barrier = spawn.Barrier(len(crews))
    members: list[SpawnProcess] = []
    inboxes: list[Connection[Any, Any]] = []
    try:
        for workers in crews:
            inbox, outbox = spawn.Pipe(duplex=False)
            work = (outbox, barrier, benchmark, counts, run, workers)
            member = spawn.Process(target=_run_crew, args=work, daemon=True)
            member.start()
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
    return [
        Row(benchmark, count, _merge(parts)) for count, parts in zip(counts, zip(*crew_parts, strict=True), strict=True)
    ]


def processes(run: Run) -> int:
    """Return the number of processes: one a core, with at least one connection each."""
    return min(run.connections, os.cpu_count() or 1)


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


def _merge(parts: Sequence[Part]) -> Summary:
    """Merge the parts of one row, from the first process's start to the last one's end."""
    seconds = (max(part.ended_ns for part in parts) - min(part.began_ns for part in parts)) / 1e9
    return summarise([tally for part in parts for tally in part.tallies], seconds)


def _run_crew(
    outbox: "Connection[Any, Any]",
    barrier: Barrier,
    benchmark: Benchmark,
    counts: Sequence[int | None],
    run: Run,
    workers: range,
) -> None:
    """Run one process's workers for every row, and send the parts or what failed."""
    try:
        outbox.send(run_async(_time_rows(barrier, benchmark, counts, run, workers)))
    except KeyboardInterrupt:
        return  # the parent was interrupted too, and says so
    except Exception as error:  # the parent raises it
        barrier.abort()
        outbox.send(error)


async def _time_rows(
    barrier: Barrier, benchmark: Benchmark, counts: Sequence[int | None], run: Run, workers: range
) -> list[Part]:
    """Time this process's share of each row; all processes start a row together."""
    parts = []
    seeds = [f"{run.seed} {worker}" for worker in workers]
    async with open_sessions(benchmark, run, len(workers)) as sessions:
        await asyncio.gather(*(warm_up(session, benchmark, run) for session in sessions))
        for count in counts:
            all_quotas: Sequence[int | None] = (
                [None] * run.connections if count is None else shares(count, run.connections)
            )
            quotas = all_quotas[workers.start : workers.stop]
            loads = [Workload.drawn(benchmark, quota, seed) for quota, seed in zip(quotas, seeds, strict=True)]
            barrier.wait()
            began = time.perf_counter_ns()
            tallies = await run_workers(sessions, loads, began + int(run.seconds * 1e9))
            parts.append(Part(began, time.perf_counter_ns(), tallies))
    return parts
