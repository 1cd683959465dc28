"""Latency second by second while a command runs: a load, an increment, a full refresh."""

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

from bench.errors import ToolError
from bench.queries.latency import NS_PER_SECOND
from bench.queries.measure import Bench, rows_of
from bench.queries.rows import Row, Second
from bench.queries.run import Mix, Run

# Before the command begins and after its end, so that there is something to compare with.
LEAD_SECONDS = 3
LONGEST_SECONDS = 24 * 3600


@dataclass(frozen=True)
class During:
    """The command that ran meanwhile: when it began and ended, in seconds from the round's start, and its exit code."""

    command: str
    began_s: float
    ended_s: float
    exit_code: int


def program_of(command: str) -> list[str]:
    """Return a command line's words, its program with its path; ToolError if there is none of that name."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ToolError(f"The command {command!r} cannot be read ({error}): write it as in a shell.") from error
    # `dbt` is the one beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(words[0], path=path) if words else None
    if found is None:
        raise ToolError(f"The command {command!r} has no program that is here: install it, or write its path.")
    return [found, *words[1:]]


def measure_during(mix: Mix, run: Run, command: str) -> tuple[list[Row], During]:
    """Measure a mix from a few seconds before a command until a few seconds after its end, in one round."""
    words = program_of(command)
    with Bench([mix], run) as bench:
        bench.settle(0, str(run.seed))
        task = replace(bench.task(0, str(run.seed), seconds=LONGEST_SECONDS), least=0)
        beside = _Beside(words, run, bench.processes.deadline)
        with beside:
            rounds = bench.run_task(task, with_timeline=True)
        began = bench.began_ns
    if beside.failure is not None:
        raise ToolError(f"The command {command!r} did not run: {beside.failure}. Check it.") from beside.failure
    first, last = ((at - began) / NS_PER_SECOND for at in (beside.began_ns, beside.ended_ns))
    return rows_of(mix, None, [rounds]), During(command, first, last, beside.exit_code)


def phases_in_words(timeline: Sequence[Second], during: During) -> str:
    """Say what latencies were in the seconds before, during and after the command, in ms."""
    begin, end = int(during.began_s), int(during.ended_s) + 1
    named = (("before", timeline[:begin]), ("during", timeline[begin:end]), ("after", timeline[end:]))
    words = []
    for name, some in named:
        p50s = [one.p50_ms for one in some if one.p50_ms is not None]
        p99s = [one.p99_ms for one in some if one.p99_ms is not None]
        longest = max((one.max_ms for one in some if one.max_ms is not None), default=None)
        words.append(
            f"{name} ({len(some)} s) p50 {f'{statistics.median_high(p50s):,.2f}' if p50s else '-'}, "
            + (f"the worst second's p99 {max(p99s):,.2f}, " if p99s else "")
            + f"longest {'-' if longest is None else f'{longest:,.1f}'}"
        )
    return "; ".join(words)


class _Beside:
    """A thread that waits, runs the command, waits again, and then ends the measurement."""

    def __init__(self, words: Sequence[str], run: Run, deadline: Any) -> None:
        self._words, self._environment, self._deadline = words, os.environ | run.address.environment, deadline
        self._thread = Thread(target=self._work, daemon=True)
        self._started: subprocess.Popen[bytes] | None = None
        self.began_ns = self.ended_ns = 0
        self._is_over = False
        self.exit_code = 0
        self.failure: OSError | None = None

    def __enter__(self) -> "_Beside":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_over = True
        if kind is not None and self._started is not None:
            self._started.terminate()  # the measurement failed or was interrupted
        elif kind is None:
            self._thread.join()

    def _work(self) -> None:
        # The far deadline is set when the round begins.
        while self._deadline.value < time.perf_counter_ns() + LONGEST_SECONDS * NS_PER_SECOND // 2:
            time.sleep(0.01)
            if self._is_over:
                return
        time.sleep(LEAD_SECONDS)
        self.began_ns = time.perf_counter_ns()
        try:
            # Its words go to stderr: the figures have stdout.
            self._started = subprocess.Popen(self._words, env=self._environment, stdin=subprocess.DEVNULL, stdout=2)
            self.exit_code = self._started.wait()
        except OSError as error:
            self.failure = error
        self.ended_ns = time.perf_counter_ns()
        time.sleep(LEAD_SECONDS)
        self._deadline.value = time.perf_counter_ns()
