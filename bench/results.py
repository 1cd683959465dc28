"""Where measurements keep their figures: a dated JSON file a run in data/results, read back for the page."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.errors import ResultUnreadable
from bench.queries.report import write_json

FOLDER = Path("data/results")
PAGE = Path("report.html")
PROGRAM = "python -m bench"

json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the figures there instead of to {FOLDER}.",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One run's figures: which measurement it was (`kind`), the file that holds them, and what is in it."""

    kind: str
    path: Path
    content: Mapping[str, Any]

    @property
    def date(self) -> str:
        """When the figures were taken, as ISO 8601 in UTC; empty where the file does not say."""
        return str(self.content.get("date", ""))

    @property
    def day(self) -> str:
        """The date to the minute, as people read it."""
        return self.date[:16].replace("T", " ") or "no date"

    @property
    def revision(self) -> str:
        """What git calls the commit that was measured."""
        return str(self.content.get("revision") or "unknown")

    @property
    def command(self) -> str:
        """The command that took them."""
        return str(self.content.get("command") or f"{PROGRAM} {self.kind}")


def keep(kind: str, content: Mapping[str, Any], path: Path | None = None) -> Path:
    """Write a run's figures with its kind and command: to `path`, or else to a file of their own in data/results."""
    if path is None:
        # Microseconds, because a command may measure more than one thing.
        path = FOLDER / f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z.json"
    write_json(path, {"kind": kind, "command": _command(), **content})
    return path


def read_results(folder: Path) -> list[Result]:
    """Read a folder's results, oldest first; ResultUnreadable names a file that holds none."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text())
        except ValueError as error:
            raise ResultUnreadable(f"{path} is not JSON ({error}): measure again, or remove it.") from error
        kind = content.get("kind") if isinstance(content, dict) else None
        if not isinstance(kind, str):
            raise ResultUnreadable(f"{path} is no result of `{PROGRAM}` (it has no kind): move it elsewhere.")
        results.append(Result(kind, path, content))
    return sorted(results, key=lambda result: result.date)


def of_kind(results: Sequence[Result], kind: str) -> list[Result]:
    """Return the results of one measurement, newest first."""
    return [result for result in reversed(results) if result.kind == kind]


def _command() -> str:
    """Return the command line as the user typed it, or the program alone outside of one."""
    context = click.get_current_context(silent=True)
    arguments = sys.argv[1:] if context is None or context.obj is None else context.obj
    return shlex.join([*PROGRAM.split(), *arguments])
