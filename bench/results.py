"""Where measurements keep their figures: a dated JSON file a run in data/results, read back for the page."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import TypeAdapter, ValidationError

from bench.environment import Circumstances
from bench.errors import ResultUnreadable

FOLDER = Path("data/results")
PAGE = Path("report.html")
PROGRAM = "python -m bench"
# Results of another form are left out.
FORMAT = 3
T = TypeVar("T")


@dataclass(frozen=True)
class Sentence:
    """What a figure says in words, printed by terminal and page alike: the page's section, and the figure in it."""

    section: str
    about: str
    text: str


@dataclass(frozen=True)
class Result:
    """One run's figures: which measurement it was (`kind`), the file, the command, the circumstances, the figures."""

    kind: str
    path: Path
    command: str
    circumstances: Circumstances
    content: Mapping[str, Any]

    def read(self, form: type[T]) -> T:
        """Return the figures as the dataclass that wrote them; ResultUnreadable names the file."""
        return _read(form, self.content, self.path)


def keep(kind: str, figures: Any, circumstances: Circumstances, path: Path | None = None) -> Path:
    """Write a run's figures (a dataclass) to `path`, or else to a file of their own in data/results."""
    if path is None:
        # Microseconds, because a command may measure more than one thing.
        path = FOLDER / f"{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z.json"
    content = {"format": FORMAT, "kind": kind, "command": _command(), **asdict(circumstances), **asdict(figures)}
    write_whole(path, json.dumps(content, indent=2) + "\n")
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text)
    partial.replace(path)


def read_results(folder: Path) -> tuple[list[Result], list[str]]:
    """Read a folder's results, oldest first; what cannot be read is left out, with a note why."""
    results, notes = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(read_result(path))
        except ResultUnreadable as error:
            notes.append(str(error))
    return sorted(results, key=lambda result: result.circumstances.date), notes


def read_result(path: Path) -> Result:
    """Read one result; ResultUnreadable names the file and what is wrong with it."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ResultUnreadable(f"{path}: {error.strerror}. Name a file that --json wrote.") from error
    except ValueError as error:
        raise ResultUnreadable(f"{path} is not JSON ({error}): measure again, or remove it.") from error
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise ResultUnreadable(f"{path} is no result of `{PROGRAM}` (it has no kind): move it elsewhere.")
    if content.get("format") != FORMAT:
        raise ResultUnreadable(f"{path} is a result of another version: measure again, or remove it.")
    return Result(kind, path, str(content.get("command", "")), _read(Circumstances, content, path), content)


def of_kind(results: Sequence[Result], kind: str) -> list[Result]:
    """Return the results of one measurement, newest first."""
    return [result for result in reversed(results) if result.kind == kind]


def _read(form: type[T], content: Mapping[str, Any], path: Path) -> T:
    try:
        return TypeAdapter(form).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ResultUnreadable(f"{path}: {where}: {first['msg']}. Measure it again, or remove it.") from error


def _command() -> str:
    """Return the command line as the user typed it but for --json, or the program alone outside of one."""
    context = click.get_current_context(silent=True)
    arguments = list(sys.argv[1:] if context is None or context.obj is None else context.obj)
    if "--json" in arguments:
        at = arguments.index("--json")
        del arguments[at : at + 2]
    return shlex.join([*PROGRAM.split(), *arguments])


Command = Callable[..., Any]

json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the figures to this file instead of to {FOLDER}.",
)  # fmt: skip
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True,
    help="Random seed; the same seed gives the same data.",
)  # fmt: skip
rounds_option = click.option(
    "--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of each variant, alternating."
)


def rows_option(default: int, what: str = "Number of persons.", least: int = 1) -> Callable[[Command], Command]:
    """Return the option for the size of the data."""
    return click.option("--rows", type=click.IntRange(min=least), default=default, show_default=True, help=what)


def say(line: str) -> None:
    """Tell what is being measured, on stderr."""
    click.echo(line, err=True)
