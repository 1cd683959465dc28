"""The harness's processes as the parent sees them: started, asked all at once, ended whatever happens.

One process is bound to one core, and a key lookup keeps it busy: on two cores, two processes answered 1.6 times as
many a second as one (`pgbench --jobs` spreads its connections in the same way).
"""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from bench.errors import ToolError
from bench.queries.latency import NS_PER_SECOND, Counts, merge, shares, summarise
from bench.queries.process import Ended, Process, Report, Start, Task, run_process
from bench.queries.rows import Round
from bench.queries.run import Mix, Run

# From the message to the start, so that every process has it by then.
START_NS = 20_000_000


class Processes:
    """Processes that share a run's connections, with the queries of all mixes prepared on each.

    `deadline` is the moment (ns of the machine's clock) at which the task that runs ends; it may be moved forward.
    """

    def __init__(self, mixes: Sequence[Mix], run: Run) -> None:
        """Say what they run; they start with the block."""
        spawn = get_context("spawn")
        self.run = run
        self.deadline: Any = spawn.RawValue("q", 0)
        ends = accumulate(shares(run.connections, run.process_count), initial=0)
        shared = [range(*pair) for pair in pairwise(ends)]
        self._shares = [Process(mixes, run, workers, number, len(shared)) for number, workers in enumerate(shared)]
        self._spawn = spawn
        self._children: list[SpawnProcess] = []
        self._pipes: list[Connection[Any, Any]] = []

    def __enter__(self) -> "Processes":
        for share in self._shares:
            ours, theirs = self._spawn.Pipe()
            child = self._spawn.Process(target=run_process, args=(theirs, share, self.deadline), daemon=True)
            _start_without_interrupts(child)
            theirs.close()  # the process holds the only other end, so that its death is seen
            self._children.append(child)
            self._pipes.append(ours)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child, pipe in zip(self._children, self._pipes, strict=True):
            if kind is not None:
                child.terminate()
                continue
            with suppress(BrokenPipeError):
                pipe.send(None)
        for child, pipe in zip(self._children, self._pipes, strict=True):
            child.join()
            pipe.close()

    def ask(self, message: object) -> list[Any]:
        """Send a message to all and return their answers; the first failure is raised."""
        for pipe in self._pipes:
            try:
                pipe.send(message)
            except BrokenPipeError as error:
                raise _ended_early() from error
        waiting, answers = list(self._pipes), []
        while waiting:
            for ready in wait(waiting):
                assert isinstance(ready, Connection)  # noqa: S101 - wait() returns what it was given
                try:
                    answer = ready.recv()
                except (EOFError, ConnectionResetError) as error:
                    raise _ended_early() from error
                if isinstance(answer, BaseException):
                    raise answer
                waiting.remove(ready)
                answers.append(answer)
        return answers

    def prepare(self, task: Task) -> None:
        """Let all draw their queries and, where the task says so, warm up."""
        self.ask(task)

    def start(self, task: Task) -> tuple[int, list[Ended]]:
        """Let all begin what they have prepared at one moment, and wait for their ends; return both."""
        began = time.perf_counter_ns() + START_NS
        self.deadline.value = began + int(task.seconds * NS_PER_SECOND)
        return began, self.ask(Start(began))

    def rounds(self, task: Task, began_ns: int, ended: Sequence[Ended], *, with_timeline: bool = False) -> list[Round]:
        """Return the figures of what has ended, by query and, where there are several, of all together."""
        last = max(one.ended_ns for one in ended)
        is_open = task.rate is not None
        busy_until = min(self.deadline.value, last) if is_open else min(one.idle_ns for one in ended)
        counted: list[list[Counts]] = self.ask(Report(busy_until, with_timeline))
        queries = [merge(some) for some in zip(*counted, strict=True)]
        sent = queries[-1].done + queries[-1].errors
        used = sum(one.processor_ns for one in ended) / sent / 1000 if sent else None
        seconds, busy = (last - began_ns) / NS_PER_SECOND, (busy_until - began_ns) / NS_PER_SECOND
        # The queries of a mix share the client's time, and only all together know what was not sent.
        parts = [summarise(one, seconds, busy) for one in queries[:-1]]
        return [*parts, summarise(queries[-1], seconds, busy, is_open=is_open, overhead_us=used)]


def _ended_early() -> ToolError:
    return ToolError("One of the benchmark's processes ended early. Use fewer --connections if memory is short.")


def _start_without_interrupts(child: SpawnProcess) -> None:
    """Start a process that never sees Ctrl-C, which a terminal sends to all: this one ends the others."""
    resource_tracker.ensure_running()  # started by the child's start, it would let the interrupts in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
