"""The command line: generate, queries, demo."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.demo import run_demo
from bench.drivers import DRIVERS
from bench.errors import BenchError
from bench.gym import generate_gym
from bench.harness import Row, measure
from bench.loading import loading_figures, refuse_failures, results_table
from bench.loading_cases import CASES, measure_loading
from bench.measurement import checked_benchmarks, refuse_errors
from bench.people import generate_people
from bench.pgbench import compare
from bench.records import persons, time_cases, timings_figures, timings_table
from bench.report import closing_lines, comparison_line, console, figures, rows_table, write_json
from bench.transform import run_transform, transform_figures, transform_table
from bench.workers import Run, run_async
from loaders.connection import Address
from loaders.errors import LoaderError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
PEOPLE_FOLDER = Path("data/bronze/people")
GYM_FOLDER = Path("data/bronze/evo")


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


@generate.command()
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True,
    help="Of the real volumes: 1 is 130 million records.",
)  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Daily extractions.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Another seed, others.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=GYM_FOLDER, show_default=True,
    help="The folder that gets entity=members and the others.",
)  # fmt: skip
def gym(scale: float, runs: int, seed: int, folder: Path) -> None:
    """Write the gym's feed: members, sales, entries, prospects as gzipped NDJSON, by entity, day and run.

    Example: python -m bench generate gym --scale 0.001 --runs 3 --seed 1 --to data/bronze/evo
    """
    click.echo(generate_gym(folder, scale=scale, runs=runs, seed=seed))


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
@click.option("--rows", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many persons.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Every way once a round.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the persons' values.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
def records(rows: int, rounds: int, seed: int, json_path: Path | None) -> None:
    """Measure insert_records: COPY against executemany, with a pool and without, 1 to 4 tasks.

    Example: python -m bench records --rows 100000 --rounds 3
    """
    address = Address.from_environment()
    timings = run_async(time_cases(address, persons(rows, seed), rounds))
    console().print(timings_table(timings, rounds))
    if json_path is not None:
        write_json(json_path, timings_figures(timings, address, rounds))


@cli.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="How many persons.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Every way once a run.")
@click.option("--only", multiple=True, metavar="WAY", help="Take this way; more than one may be given.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
def load(cases: tuple[str, ...], rows: int, runs: int, only: tuple[str, ...], json_path: Path | None) -> None:
    """Measure the loader against psql, COPY FROM file and its peers: all cases, or those named.

    Example: python -m bench load csv --rows 10000000 --only psql --only loader-2
    """
    address = Address.from_environment()
    results = measure_loading(cases or tuple(CASES), address, rows=rows, runs=runs, only=only)
    screen = console()
    for case in results:
        screen.print(results_table(case, runs))
    if json_path is not None:
        write_json(json_path, loading_figures(results, address, runs))
    refuse_failures(results)


@cli.command()
@click.option("--rows", type=click.IntRange(min=100), default=2_000_000, show_default=True, help="Of the core table.")
@click.option("--increments", type=click.IntRange(min=0), default=10, show_default=True, help="Of a tenth of the rows.")
@click.option("--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Full refreshes of each way.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
def transform(rows: int, increments: int, rounds: int, json_path: Path | None) -> None:
    """Measure full refreshes and increments against stock dbt's, in a database of their own.

    Example: python -m bench transform --rows 2000000 --increments 10 --json transform.json
    """
    address = Address.from_environment()
    ways = run_transform(address, rows=rows, increments=increments, rounds=rounds)
    console().print(transform_table(ways, rows))
    if json_path is not None:
        write_json(json_path, transform_figures(ways, address, rows))


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
