"""Time whole commands that load the same files, and count the rows of every run."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from bench.comparison import Comparison, Origin, Run, Variant, measure_comparison
from bench.errors import RunFailed, ToolError
from loaders.connection import Address, connect

LAUNCHER = Path(__file__).with_name("timed_child.py")
SAID_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that loads a case's files into `table`.

    `once` runs before the first run, untimed. `missing` says why the command cannot be run here.
    """

    name: str
    title: str
    table: str
    rows: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    missing: str = ""
    origin: Origin = "ours"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Commands that do the same job; the first is what the others are compared with.

    `fresh` is the SQL that is run before every run, untimed.
    """

    name: str
    title: str
    folder: Path
    commands: tuple[Command, ...]
    unit: str = "rows"
    fresh: str = ""


def measure_case(
    case: Case, *, address: Address, rounds: int, only: Sequence[str] = (), say: Callable[[str], None]
) -> Comparison:
    """Run the commands of the case (`only` some) in alternating rounds."""
    with connect(address) as connection:
        variants = [
            Variant(
                name=one.name, title=one.title, count=one.rows, origin=one.origin, missing=one.missing,
                measure=partial(_measure, one, case, connection, address),
            )
            for one in case.commands
        ]  # fmt: skip
        return measure_comparison(case.name, case.title, case.unit, variants, rounds, say, only=only)


def _measure(command: Command, case: Case, connection: psycopg.Connection, address: Address, turn: int) -> Run:
    """Run a command once and check what it landed; RunFailed says what went wrong."""
    connection.execute(case.fresh)
    if turn == 0 and command.once:
        _run(command.once, command, case, address)
    # A role without the right to it measures with whatever checkpoint comes.
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("checkpoint")
    run = _run(command.command, command, case, address)
    [found] = connection.execute(f"select count(*) from {command.table}").fetchone() or (0,)
    if found != command.rows:
        raise RunFailed(f"failed: {command.rows:,} rows expected, {found:,} found")
    return run


def _run(words: Sequence[str], command: Command, case: Case, address: Address) -> Run:
    """Return what a command cost; RunFailed has the last that it said."""
    ended = subprocess.run(
        [sys.executable, "-S", str(LAUNCHER), *words],
        cwd=case.folder,
        env={**os.environ, **address.environment, **command.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    measured = ended.stdout.split()
    if len(measured) != 3:
        raise ToolError(f"{command.title}: {LAUNCHER.name} failed: {ended.stderr[-SAID_CHARACTERS:]} Run it by hand.")
    seconds, peak_bytes, status = measured
    if status != "0":
        said = " ".join(ended.stderr.split())[-SAID_CHARACTERS:]
        raise RunFailed(f"failed with exit code {status}: {said}")
    return Run(seconds=float(seconds), peak_bytes=int(peak_bytes))
