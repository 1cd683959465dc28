"""The command `many`: thousands of different queries, by every way to ask them."""

import os
from pathlib import Path

import click

from bench.many.benchmark import closing_lines, many_figures, many_table, measure_many
from bench.many.payloads import KINDS
from bench.queries.report import console
from bench.results import json_option, keep
from loaders.connection import Address


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True, help="How many queries.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2 * (os.cpu_count() or 1), show_default="2 a core",
    help="A connection each.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Every way once a round.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the queries.")
@click.option(
    "--parallel", "gathers", type=click.IntRange(min=0), multiple=True,
    help="max_parallel_workers_per_gather; may be repeated.  [default: what the server has, then 0 if plans differ]",
)  # fmt: skip
@json_option
def many(
    kinds: tuple[str, ...], count: int, workers: int, rounds: int, seed: int, gathers: tuple[int, ...],
    json_path: Path | None,
) -> None:  # fmt: skip
    """Measure run_queries on different SELECTs: database-bound ones, a twentieth of scans, lookups; or those named.

    The ways: one connection, a connection a query, then threads, processes and tasks; all must return the same rows.

    Example: python -m bench many bound --count 2000 --workers 4 --parallel 0
    """
    address = Address.from_environment()
    rows = measure_many(
        address,
        kinds=kinds or KINDS,
        count=count,
        workers=workers,
        rounds=rounds,
        seed=seed,
        gathers=gathers,
        say=lambda line: click.echo(line, err=True),
    )
    console().print(many_table(rows))
    for line in closing_lines(rows):
        click.echo(line)
    keep("many", many_figures(rows, address, workers, seed), json_path)
