"""The commands `load`, `records` and `transform`."""

from pathlib import Path

import click

from bench.compare.cases import CASES, measure_loading
from bench.compare.records import measure_records, persons
from bench.comparison import Comparisons, check_failures
from bench.environment import read_circumstances
from bench.results import json_option, keep, rounds_option, rows_option, say, seed_option
from bench.tables import print_comparisons
from loaders.connection import Address


@click.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@rows_option(1_000_000)
@rounds_option
@click.option("--only", multiple=True, metavar="VARIANT", help="Only this variant; may be repeated.")
@json_option
def load(cases: tuple[str, ...], rows: int, rounds: int, only: tuple[str, ...], json_path: Path | None) -> None:
    """Compare the loader with psql, COPY FROM file and other tools: all cases, or those named.

    Example: python -m bench load csv --rows 10000000 --only psql --only loader-2
    """
    address = Address.from_environment()
    comparisons = measure_loading(cases or tuple(CASES), address, rows=rows, rounds=rounds, only=only)
    print_comparisons(comparisons)
    keep("load", Comparisons(rounds=rounds, comparisons=tuple(comparisons)), read_circumstances(address), json_path)
    check_failures(comparisons)


@click.command()
@rows_option(100_000)
@rounds_option
@seed_option
@json_option
def records(rows: int, rounds: int, seed: int, json_path: Path | None) -> None:
    """Compare methods of insert_records: COPY and executemany, with a pool and without, 1 to 4 tasks.

    Example: python -m bench records --rows 100000 --rounds 3
    """
    address = Address.from_environment()
    comparisons = measure_records(address, persons(rows, seed), rounds, say)
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons), seed=seed)
    keep("records", figures, read_circumstances(address), json_path)


@click.command()
@rows_option(2_000_000, "Rows of the core table.", least=100)
@click.option(
    "--increments", type=click.IntRange(min=0), default=10, show_default=True,
    help="Number of increments, each of a tenth of the rows.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Full refreshes of each variant."
)
@json_option
def transform(rows: int, increments: int, rounds: int, json_path: Path | None) -> None:
    """Compare full refreshes and increments with stock dbt's, on the same rows.

    Example: python -m bench transform --rows 2000000 --increments 10
    """
    from bench.compare.transform import measure_transform  # dbt takes a second to import

    address = Address.from_environment()
    comparisons = measure_transform(address, rows=rows, increments=increments, rounds=rounds, say=say)
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons))
    keep("transform", figures, read_circumstances(address), json_path)
