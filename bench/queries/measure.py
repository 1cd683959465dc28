"""Time queries n times over C connections, spread over the machine's cores as `pgbench --jobs` does.

One process is bound to one core, and a key lookup keeps it busy: on two cores, two processes answered 1.6 times as
many a second as one.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import BrokenBarrierError
from typing import Any

from bench.errors import QueryFailed, ToolError
from bench.queries.arrivals import scheduled
from bench.queries.benchmarks import Benchmark
from bench.queries.latency import NS_PER_SECOND, Summary, shares, slices, summarise
from bench.queries.process import LoopResult, Process, run_process
from bench.queries.run import Mix, Run

TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class Row(Summary):
    """One measured row: the query, how many were asked for (None: as many as the time allows), and what came out."""

    query: str
    question: str
    layer: str
    n: int | None

    @property
    def title(self) -> str:
        """The query and how many were asked for."""
        return self.query if self.n is None else f"{self.query}, n = {self.n:,}"


def measure(benchmark: Benchmark, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time one query, a row a count, on connections that are opened and warmed up before the clock starts."""
    return measure_mix(Mix.of(benchmark), counts, run)


def measure_mix(mix: Mix, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time a mix: for each count a row a query and, where there are several queries, one of all together."""
    spawn = get_context("spawn")
    shared = slices(shares(run.connections, run.process_count))
    processes = [Process(mix, counts, run, workers, number, len(shared)) for number, workers in enumerate(shared)]
    barrier = spawn.Barrier(sum(len(process.loops) for process in processes))
    children: list[SpawnProcess] = []
    inboxes: list[Connection[Any, Any]] = []
    try:
        for process in processes:
            inbox, outbox = spawn.Pipe(duplex=False)
            child = spawn.Process(target=run_process, args=(outbox, barrier, process), daemon=True)
            _start_without_interrupts(child)
            outbox.close()  # the process holds the only other end, so that its death is seen
            children.append(child)
            inboxes.append(inbox)
        results = _collect(inboxes)
    finally:
        for child in children:
            child.terminate()
            child.join()
        for inbox in inboxes:
            inbox.close()
    rows = []
    for count, parts in zip(counts, zip(*results, strict=True), strict=True):
        rows += _rows(mix, count, run, parts)
    return rows


def check_errors(rows: Sequence[Row]) -> None:
    """Raise QueryFailed if any measured query failed, with the first failure's words."""
    failed = [row for row in rows if row.errors]
    if failed:
        raise QueryFailed(
            f"{sum(row.errors for row in failed):,} queries failed, first in {failed[0].query}: "
            f"{failed[0].first_error} The rates count answered queries only; look into the server's log."
        )


def _start_without_interrupts(child: SpawnProcess) -> None:
    """Start a process that never sees Ctrl-C, which a terminal sends to all: this one ends the others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _collect(inboxes: Sequence["Connection[Any, Any]"]) -> list[list[LoopResult]]:
    """Receive the results of each event loop; raise the first failure that is not merely the end of another's."""
    waiting, ended = list(inboxes), 0
    received: list[list[LoopResult]] = []
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
            received += result
            ended += 1
    if ended < len(inboxes):
        raise ToolError("The benchmark's processes stopped waiting for each other. Try again.")
    return received


def _rows(mix: Mix, count: int | None, run: Run, parts: Sequence[LoopResult]) -> list[Row]:
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
        return [_row(mix.benchmarks[0], count, whole)]
    each = zip(mix.benchmarks, by_query[:-1], strict=True)
    rows = [_row(benchmark, None, summarise(some, seconds)) for benchmark, some in each]
    return [*rows, _row(Benchmark(TOTAL, "mix", "mix", "", ()), count, whole)]


def _row(benchmark: Benchmark, count: int | None, summary: Summary) -> Row:
    return Row(query=benchmark.name, question=benchmark.question, layer=benchmark.layer, n=count, **vars(summary))
