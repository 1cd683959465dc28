"""The command `many`: thousands of different queries, one by one and in parallel."""

import os
from pathlib import Path

import click

from bench.circumstances import read_circumstances
from bench.comparison import Comparisons
from bench.many.benchmark import measure_many
from bench.many.payloads import KINDS
from bench.options import json_option, rounds_option, say, seed_option
from bench.results import keep
from bench.tables import print_comparisons
from loaders.connection import Address


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True, help="Number of queries.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2 * (os.cpu_count() or 1), show_default="2 a core",
    help="Threads or processes, with a connection each.",
)  # fmt: skip
@rounds_option
@seed_option
@click.option(
    "--parallel", "gathers", type=click.IntRange(min=0), multiple=True, metavar="N",
    help="Value of max_parallel_workers_per_gather; may be repeated.  "
    "[default: the server's, then 0 if plans have parallel workers]",
)  # fmt: skip
@json_option
def many(
    kinds: tuple[str, ...], count: int, workers: int, rounds: int, seed: int, gathers: tuple[int, ...],
    json_path: Path | None,
) -> None:  # fmt: skip
    """Compare run_queries, by threads and by processes, with one connection, on different SELECTs.

    Kinds: bound (the database works for milliseconds), scans (of a whole table; a twentieth of the count), lookups (the
    client is the limit), function (work in Python on each result; a tenth of the count). All must return the same rows.

    Example: python -m bench many bound function --count 2000 --workers 4 --parallel 0
    """
    address = Address.from_environment()
    comparisons = measure_many(
        address, kinds=kinds or KINDS, count=count, workers=workers, rounds=rounds, seed=seed, gathers=gathers, say=say
    )
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons), seed=seed, workers=workers)
    keep("many", figures, read_circumstances(address), json_path)
