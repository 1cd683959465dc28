"""The command `queries`: benchmark queries under load."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from bench.environment import read_circumstances
from bench.queries.answers import checked_benchmarks
from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row, check_errors, measure_mix
from bench.queries.pgbench import compare
from bench.queries.report import figures, rows_table
from bench.queries.run import Mix, Run, read_weights
from bench.results import json_option, keep, say, seed_option
from bench.tables import console
from loaders.connection import Address

COUNTS = (10, 100, 1000)
SECONDS = 10


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


@click.command(cls=CountsCommand)
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option(
    "-n", "counts", type=click.IntRange(min=1), multiple=True, metavar="COUNT [COUNT ...]",
    help="Number of queries; a row each.  [default: 10 100 1000; none with --duration, --rate or --mix]",
)  # fmt: skip
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help=f"Time a row takes; with -n, the longest that it may take.  [default: {SECONDS}]",
)  # fmt: skip
@click.option(
    "--connections", type=click.IntRange(min=1), default=8, show_default=True, help="Connections, with a worker each."
)
@click.option(
    "--processes", type=click.IntRange(min=1), metavar="P",
    help="Processes that share the connections.  [default: one a core]",
)  # fmt: skip
@click.option(
    "--driver", type=click.Choice(list(DRIVERS)), default="asyncpg", show_default=True, help="Client library."
)
@click.option(
    "--pipeline", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N",
    help="Queries a sync, with the driver psycopg-pipeline.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="R",
    help="Open loop: R queries a second on a schedule, whatever the server does; latency counts from the schedule.",
)  # fmt: skip
@click.option("--mix", "mix_text", metavar="NAME=WEIGHT,...", help="One load of several queries, drawn by weight.")
@click.option(
    "--warm-up", type=click.FloatRange(min=0), metavar="SECONDS",
    help="Run the same load for this time before the clock starts.",
)  # fmt: skip
@seed_option
@click.option("--pgbench", "with_pgbench", is_flag=True, help="Also run pgbench on the same SQL, alternating.")
@json_option
def queries(
    names: tuple[str, ...], counts: tuple[int, ...], duration: float | None, connections: int, processes: int | None,
    driver: str, pipeline: int, rate: float | None, mix_text: str | None, warm_up: float | None,
    seed: int, with_pgbench: bool, json_path: Path | None,
) -> None:  # fmt: skip
    """Measure benchmark queries (dbt analyses) under load: queries a second and latency. All of them, or those named.

    A closed loop sends a query when the last one is answered: it shows the most that the server does. An open loop
    (--rate) sends on a schedule: it shows the latency that users would see, stalls included.

    Example: python -m bench queries people_older_than_mart --rate 5000 --duration 10 --driver libpq
    """
    if names and mix_text is not None:
        raise click.UsageError("--mix names its queries itself: leave the other names out.")
    run = Run(
        address=Address.from_environment(), driver=driver, connections=connections, seconds=duration or SECONDS,
        seed=seed, rate=rate, warm_up=warm_up, processes=processes, pipeline=pipeline,
    )  # fmt: skip
    by_time = not counts and (duration is not None or rate is not None or mix_text is not None)
    wanted: Sequence[int | None] = (None,) if by_time else counts or COUNTS
    weights = {} if mix_text is None else read_weights(mix_text)
    chosen = checked_benchmarks(names or tuple(weights), run)
    mixes = [Mix.weighted(chosen, weights)] if weights else [Mix.of(one) for one in chosen]
    rows: list[Row] = []
    for mix in mixes:
        for engine, mix_there in _engines(mix, run):
            say(f"measuring {mix_there.name}")
            rows += measure_mix(mix_there, wanted, engine)
    comparisons = [compare(mix, run) for mix in mixes] if with_pgbench else []
    measured = figures(rows, run, comparisons, mixes[0] if weights else None)
    console().print(rows_table(rows, run))
    for sentence in measured.sentences:
        click.echo(sentence.text)
    keep("queries", measured, read_circumstances(run.address), json_path)
    check_errors(rows)


def _engines(mix: Mix, run: Run) -> list[tuple[Run, Mix]]:
    """Return how a mix is run: DuckDB's file is asked beside PostgreSQL."""
    if run.driver != "duckdb":
        return [(run, mix)]
    from bench.queries.duckdb_driver import in_duckdb

    there = replace(mix, benchmarks=tuple(in_duckdb(one, run.address) for one in mix.benchmarks))
    return [(replace(run, driver="asyncpg"), mix), (run, there)]
