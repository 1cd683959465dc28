"""The command line: generate, measure, report, demo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.compare.command import compare, figures, load, records, transform
from bench.compare.figures import PUBLISHED
from bench.demo import run_demo
from bench.generate.command import generate
from bench.many.benchmark import many
from bench.page.markdown import DOCUMENT, write_tables
from bench.queries.command import queries
from bench.results import FOLDER, PAGE, rows_option
from bench.scale.command import scale
from bench.tune.command import tune
from loaders.command_line import one_line_errors


class Commands(click.Group):
    """A group whose commands end in one line where they fail or are interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        return one_line_errors(super().invoke, "interrupted")(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Generate bronze files at any scale, and measure what the built models answer.

    Example: python -m bench queries -n 10 100 1000
    """


@cli.command()
@click.option(
    "--from", "folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, show_default=True,
    help="Folder of JSON results.",
)  # fmt: skip
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), default=PAGE, show_default=True,
    help="Page to write.",
)  # fmt: skip
@click.option("--docs", is_flag=True, help="Write the tables of docs/benchmarks.md instead, from docs/results.")
def report(folder: Path, target: Path, docs: bool) -> None:
    """Write one HTML page from the results that the other commands have kept.

    The newest result of each figure is drawn: to leave a trial run out, remove its file.

    Example: python -m bench report --from data/results --to report.html
    """
    if docs:
        write_tables(DOCUMENT, PUBLISHED)
        click.echo(f"{DOCUMENT}: tables from {PUBLISHED}")
        return
    from bench.page.document import write_page  # its drawing library takes a second to import

    click.echo(write_page(folder, target))


@cli.command()
@rows_option(1_000_000)
@click.option("--yes", is_flag=True, help="Do not ask before replacing people's rows on another server than the local.")
def demo(rows: int, yes: bool) -> None:
    """Start the local server, generate people, load, build, measure; leave the server up.

    With PGHOST set to another server, it uses that one, and asks first. It replaces the rows of people only.

    Example: python -m bench demo --rows 1000000
    """
    run_demo(rows, yes=yes)


for command in (generate, queries, tune, many, load, records, transform, compare, figures, scale):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        cli.main(args=arguments, prog_name="python -m bench", obj=arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
