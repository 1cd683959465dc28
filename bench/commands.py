"""The command line: generate, queries, demo."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.demo import run_demo
from bench.drivers import DRIVERS
from bench.errors import BenchError
from bench.harness import Row, measure
from bench.measurement import checked_benchmarks, refuse_errors
from bench.people import generate_people
from bench.pgbench import compare
from bench.report import closing_lines, comparison_line, console, figures, rows_table, write_json
from bench.workers import Run
from loaders.connection import Address
from loaders.errors import LoaderError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
PEOPLE_FOLDER = Path("data/bronze/people")


class CountsCommand(click.Command):
    """A command whose -n takes every whole number that follows it: `-n 10 100 1000`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat -n before each of its numbers; no query is named by digits alone, so none is swallowed."""
        spread: list[str] = []
        counting = False
        for at, argument in enumerate(args):
            if argument == "--":
                spread += args[at:]
                break
            if counting and argument.isdecimal() and spread[-1] != "-n":
                spread.append("-n")
            spread.append(argument)
            counting = argument == "-n" or (counting and argument.isdecimal())
        return super().parse_args(ctx, spread)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Generate bronze at any scale and measure what the built models answer.

    Example: python -m bench queries -n 10 100 1000
    """


@cli.group()
def generate() -> None:
    """Generate bronze files, the same bytes for the same rows and seed.

    Example: python -m bench generate people --rows 1000000
    """


@generate.command()
@click.option("--rows", type=click.IntRange(min=0), default=1_000_000, show_default=True, help="How many persons.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Another seed, others.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=PEOPLE_FOLDER, show_default=True,
    help="The folder that gets persons.csv.",
)  # fmt: skip
def people(rows: int, seed: int, folder: Path) -> None:
    """Write persons.csv: id, name, age, isMarried, city, state, country.

    Example: python -m bench generate people --rows 1000000 --seed 1 --to data/bronze/people
    """
    click.echo(generate_people(folder, rows=rows, seed=seed))


@cli.command(cls=CountsCommand)
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option(
    "-n", "counts", type=click.IntRange(min=1), multiple=True, default=(10, 100, 1000), show_default=True,
    metavar="COUNT [COUNT ...]", help="How many queries; a row each.",
)  # fmt: skip
@click.option("--connections", type=click.IntRange(min=1), default=8, show_default=True, help="One worker each.")
@click.option("--driver", type=click.Choice(list(DRIVERS)), default="asyncpg", show_default=True)
@click.option("--seconds", type=click.IntRange(min=1), default=10, show_default=True, help="The most a row may take.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the parameters' values.")
@click.option("--pgbench", "with_pgbench", is_flag=True, help="Also run pgbench, in turns with the harness.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
def queries(
    names: tuple[str, ...], counts: tuple[int, ...], connections: int, driver: str, seconds: int, seed: int,
    with_pgbench: bool, json_path: Path | None,
) -> None:  # fmt: skip
    """Measure benchmark queries (dbt analyses): queries a second and latency. All of them, or those named.

    Example: python -m bench queries people_older_than_mart -n 10 100 1000 --connections 8 --pgbench
    """
    run = Run(address=Address.from_environment(), driver=driver, connections=connections, seconds=seconds, seed=seed)
    chosen = checked_benchmarks(names, run)
    rows: list[Row] = []
    for benchmark in chosen:
        click.echo(f"measuring {benchmark.name}", err=True)
        rows += measure(benchmark, counts, run)
    comparisons = [compare(benchmark, run) for benchmark in chosen] if with_pgbench else []
    screen = console()
    screen.print(rows_table(rows, run))
    for line in [*map(comparison_line, comparisons), *closing_lines(rows)]:
        click.echo(line)
    if json_path is not None:
        write_json(json_path, figures(rows, comparisons, run))
    refuse_errors(rows)


@cli.command()
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="How many persons.")
def demo(rows: int) -> None:
    """Start the local server, generate people, load, build, measure; leave the server up.

    Example: python -m bench demo --rows 1000000
    """
    run_demo(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an expected failure is one line on stderr."""
    try:
        cli.main(args=arguments, prog_name="python -m bench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    except BenchError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except LoaderError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    return 0
