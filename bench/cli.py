"""The command line: generate, measure, report, demo."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bench.compare.cases import CASES, measure_loading
from bench.compare.loading import loading_figures, refuse_failures, results_table
from bench.compare.records import persons, time_cases, timings_figures, timings_table
from bench.compare.transform import run_transform, transform_figures, transform_table
from bench.demo import run_demo
from bench.errors import BenchError
from bench.generate.gym import ENTITIES, generate_gym
from bench.generate.people import generate_people
from bench.generate.shop import generate_shop
from bench.many.command import many
from bench.queries.command import queries
from bench.queries.report import console
from bench.queries.worker import run_async
from bench.results import FOLDER as RESULTS
from bench.results import PAGE, json_option, keep
from bench.tune.command import tune
from loaders.bronze import bronze_location
from loaders.connection import Address
from loaders.errors import LoaderError

INTERRUPTED = 130  # 128 + SIGINT, as shells count


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Generate bronze at any scale and measure what the built models answer.

    Example: python -m bench queries -n 10 100 1000
    """


def folder_option(source: str, help_text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option for the folder of a source's files, where the loader looks for them unless it is given."""

    def in_bronze() -> Path:
        root = bronze_location()
        if "://" in root:
            raise click.UsageError(f"BRONZE_ROOT is {root}, and generated files need a folder: name one with --to.")
        return Path(root) / source

    return click.option(
        "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=in_bronze,
        show_default=f"{source} in BRONZE_ROOT, or in data/bronze", help=help_text,
    )  # fmt: skip


@cli.group()
def generate() -> None:
    """Generate bronze files, the same bytes for the same rows and seed.

    Example: python -m bench generate people --rows 1000000
    """


@generate.command()
@click.option("--rows", type=click.IntRange(min=0), default=1_000_000, show_default=True, help="How many persons.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Another seed, others.")
@folder_option("people", "The folder that gets persons.csv.")
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
@click.option(
    "--entity", "entities", multiple=True, type=click.Choice([entity.name for entity in ENTITIES]),
    help="Only this one; may be repeated.",
)  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Daily extractions.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Another seed, others.")
@folder_option("evo", "The folder that gets entity=members and the others.")
def gym(scale: float, entities: tuple[str, ...], runs: int, seed: int, folder: Path) -> None:
    """Write the gym's feed: members, sales, entries, prospects as gzipped NDJSON, by entity, day and run.

    Example: python -m bench generate gym --scale 0.001 --runs 3 --seed 1 --to data/bronze/evo
    """
    click.echo(generate_gym(folder, scale=scale, runs=runs, seed=seed, entities=entities))


@generate.command()
@click.option("--rows", type=click.IntRange(min=0), default=1_000_000, show_default=True, help="Of all three files.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Another seed, others.")
@folder_option("shop", "The folder that gets customers.csv and the two ledgers.")
def shop(rows: int, seed: int, folder: Path) -> None:
    """Write the item shop's files: a fifth of the rows customers, two fifths each of the ledgers of items and mods.

    Example: python -m bench generate shop --rows 1000000 --seed 1 --to data/bronze/shop
    """
    click.echo(generate_shop(folder, rows=rows, seed=seed))


@cli.command()
@click.option("--rows", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many persons.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Every way once a round.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the persons' values.")
@json_option
def records(rows: int, rounds: int, seed: int, json_path: Path | None) -> None:
    """Measure insert_records: COPY against executemany, with a pool and without, 1 to 4 tasks.

    Example: python -m bench records --rows 100000 --rounds 3
    """
    address = Address.from_environment()
    timings = run_async(time_cases(address, persons(rows, seed), rounds))
    console().print(timings_table(timings, rounds))
    keep("records", timings_figures(timings, address, rounds), json_path)


@cli.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="How many persons.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Every way once a run.")
@click.option("--only", multiple=True, metavar="WAY", help="Take this way; more than one may be given.")
@json_option
def load(cases: tuple[str, ...], rows: int, runs: int, only: tuple[str, ...], json_path: Path | None) -> None:
    """Measure the loader against psql, COPY FROM file and its peers: all cases, or those named.

    Example: python -m bench load csv --rows 10000000 --only psql --only loader-2
    """
    address = Address.from_environment()
    results = measure_loading(cases or tuple(CASES), address, rows=rows, runs=runs, only=only)
    screen = console()
    for case in results:
        screen.print(results_table(case, runs))
    keep("load", loading_figures(results, address, runs), json_path)
    refuse_failures(results)


@cli.command()
@click.option("--rows", type=click.IntRange(min=100), default=2_000_000, show_default=True, help="Of the core table.")
@click.option("--increments", type=click.IntRange(min=0), default=10, show_default=True, help="Of a tenth of the rows.")
@click.option("--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Full refreshes of each way.")
@json_option
def transform(rows: int, increments: int, rounds: int, json_path: Path | None) -> None:
    """Measure full refreshes and increments against stock dbt's, in a database of their own.

    Example: python -m bench transform --rows 2000000 --increments 10 --json transform.json
    """
    address = Address.from_environment()
    ways = run_transform(address, rows=rows, increments=increments, rounds=rounds)
    console().print(transform_table(ways, rows))
    keep("transform", transform_figures(ways, address, rows), json_path)


@cli.command()
@click.option(
    "--from", "folder", type=click.Path(path_type=Path, file_okay=False), default=RESULTS, show_default=True,
    help="The folder of JSON results.",
)  # fmt: skip
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), default=PAGE, show_default=True,
    help="The page that is written.",
)  # fmt: skip
def report(folder: Path, target: Path) -> None:
    """Write one HTML page from the results that the other commands have kept.

    The newest result of a kind is drawn: to leave a trial run out, remove its file.

    Example: python -m bench report --from data/results --to report.html
    """
    from bench.page import write_page  # its drawing library takes a second to import

    click.echo(write_page(folder, target))


@cli.command()
@click.option("--rows", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="How many persons.")
def demo(rows: int) -> None:
    """Start the local server, generate people, load, build, measure; leave the server up.

    Example: python -m bench demo --rows 1000000
    """
    run_demo(rows)


cli.add_command(queries)
cli.add_command(many)
cli.add_command(tune)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an expected failure is one line on stderr."""
    try:
        cli.main(args=arguments, prog_name="python -m bench", standalone_mode=False, obj=arguments)
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
