"""Options that commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench.results import FOLDER

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
