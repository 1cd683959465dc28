"""Time whole commands that load the same files, in turns, and count the rows of every run."""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.table import Table

from bench.errors import ToolError
from bench.queries.report import circumstances
from loaders.connection import Address, connect

LAUNCHER = Path(__file__).with_name("timed_child.py")
SAID_CHARACTERS = 200
MIB = 1024**2


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to load a case's files: a command that fills `table`.

    `once` runs before the first run, untimed. `missing` says why the way cannot be taken here. A way of another
    project (`is_peer`) may fail without failing the measurement.
    """

    name: str
    title: str
    table: str
    rows: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    missing: str = ""
    is_peer: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """Ways to do the same thing, the first of which the others are compared with.

    `fresh` is the SQL that is run before every run, untimed.
    """

    name: str
    title: str
    folder: Path
    ways: tuple[Way, ...]
    fresh: str = ""


@dataclass
class Result:
    """What the runs of one way took; `note` says why there are none."""

    case: Case
    way: Way
    seconds: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    note: str = ""

    @property
    def median(self) -> float | None:
        """The median of the runs' seconds, None where the way was not taken to the end."""
        return statistics.median(self.seconds) if self.seconds and not self.note else None

    @property
    def rows_per_second(self) -> float | None:
        """Rows a second, by the median."""
        return None if self.median is None else self.way.rows / self.median


def measure_case(
    case: Case, *, address: Address, runs: int, only: Sequence[str] = (), say: Callable[[str], None]
) -> list[Result]:
    """Take the ways of the case (`only` some) in turn, `runs` times: A B A B, since only alternating runs compare."""
    results = [Result(case, way, note=way.missing) for way in case.ways if not only or way.name in only]
    with connect(address) as connection:
        for run in range(runs):
            for result in results:
                if result.note:
                    continue
                say(f"{case.name}: run {run + 1} of {runs}: {result.way.title}")
                _take(result, connection, address, is_first=run == 0)
    return results


def _take(result: Result, connection: psycopg.Connection, address: Address, *, is_first: bool) -> None:
    """Run a way once and check what it landed; what went wrong becomes the result's note."""
    case, way = result.case, result.way
    connection.execute(case.fresh)
    if is_first and way.once:
        _, _, failure = _run(way.once, way, case, address)
        if failure:
            result.note = failure
            return
    # A role without the right to it measures with whatever checkpoint comes.
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("checkpoint")
    seconds, peak_bytes, failure = _run(way.command, way, case, address)
    if not failure:
        counted = connection.execute(f"select count(*) from {way.table}").fetchone()
        if counted != (way.rows,):
            failure = f"failed: {way.rows:,} rows expected, {counted[0] if counted else 0:,} found"
    if failure:
        result.note = failure
        return
    result.seconds.append(seconds)
    result.peak_bytes.append(peak_bytes)


def _run(command: Sequence[str], way: Way, case: Case, address: Address) -> tuple[float, int, str]:
    """Return a command's seconds, peak memory in bytes and, where it failed, its last words."""
    ended = subprocess.run(
        [sys.executable, "-S", str(LAUNCHER), *command],
        cwd=case.folder,
        env={**os.environ, **address.environment, **way.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    words = ended.stdout.split()
    if len(words) != 3:
        raise ToolError(f"{way.title}: {LAUNCHER.name} failed: {ended.stderr[-SAID_CHARACTERS:]} Run it by hand.")
    seconds, peak_bytes, status = float(words[0]), int(words[1]), int(words[2])
    said = " ".join(ended.stderr.split())[-SAID_CHARACTERS:]
    return seconds, peak_bytes, "" if status == 0 else f"failed with exit code {status}: {said}"


@contextmanager
def temporary_database(address: Address, prefix: str = "ingot_bench") -> Iterator[Address]:
    """Yield the address of a database of this measurement's own, which is dropped at the end."""
    name = f"{prefix}_{os.getpid()}"
    # A terminated measurement cleans up as an interrupted one does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with connect(address) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield replace(address, database=name)
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
            signal.signal(signal.SIGTERM, before)


def ratio(result: Result, results: Sequence[Result]) -> float | None:
    """Return a way's median in units of its case's first way, None where one of the two is missing."""
    first = next((one for one in results if one.way is result.case.ways[0]), None)
    if first is None or first.median is None or result.median is None:
        return None
    return result.median / first.median


def results_table(results: Sequence[Result], runs: int) -> Table:
    """Return the table of one case's results."""
    case = results[0].case
    table = Table(title=f"{case.title}; medians of {runs} alternating runs, of whole commands")
    table.add_column("way")
    for heading in ("seconds", f"ratio to {case.ways[0].title}", "rows/s", "peak MiB"):
        table.add_column(heading, justify="right")
    for result in results:
        share = ratio(result, results)
        table.add_row(
            result.way.title,
            result.note if result.median is None else f"{result.median:.2f}",
            "-" if share is None else f"{share:.2f}",
            "-" if result.rows_per_second is None else f"{result.rows_per_second:,.0f}",
            "-" if result.median is None else f"{max(result.peak_bytes) / MIB:.0f}",
        )
    return table


def loading_figures(cases: Sequence[Sequence[Result]], address: Address, runs: int) -> dict[str, Any]:
    """Return every run as JSON's types, with machine and server."""
    return {
        **circumstances(address),
        "runs": runs,
        "results": [
            {
                "case": result.case.name,
                "way": result.way.name,
                "title": result.way.title,
                "rows": result.way.rows,
                "seconds": result.seconds,
                "median_seconds": result.median,
                "ratio": ratio(result, results),
                "peak_bytes": max(result.peak_bytes, default=None),
                "note": result.note,
            }
            for results in cases
            for result in results
        ],
    }


def refuse_failures(cases: Sequence[Sequence[Result]]) -> None:
    """Raise ToolError if a way that is not a peer's was tried and failed."""
    for result in chain.from_iterable(cases):
        if result.note and result.note != result.way.missing and not result.way.is_peer:
            raise ToolError(
                f"{result.case.name}, {result.way.title}: {result.note}. Mend what it says; no figure of it counts."
            )
