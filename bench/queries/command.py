"""The command `queries`: benchmark queries under load."""

from pathlib import Path

import click

from bench.queries.checks import checked_benchmarks, read_mix, refuse_errors
from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row, measure_mix
from bench.queries.pgbench import compare
from bench.queries.report import closing_lines, console, figures, rows_table
from bench.queries.sentences import comparison_lines, load_lines
from bench.queries.worker import Mix, Run
from bench.results import json_option, keep
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
    help="How many queries; a row each.  [default: 10 100 1000; with --rate or --mix, --duration 10]",
)  # fmt: skip
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="As many queries as this time allows, instead of -n.",
)  # fmt: skip
@click.option("--connections", type=click.IntRange(min=1), default=8, show_default=True, help="One worker each.")
@click.option(
    "--processes", type=click.IntRange(min=1), metavar="P", help="Share the connections out.  [default: one a core]"
)
@click.option("--driver", type=click.Choice(list(DRIVERS)), default="asyncpg", show_default=True)
@click.option(
    "--pipeline", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N",
    help="Queries a sync, by the driver psycopg-pipeline.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="R",
    help="Open loop: R queries a second on a schedule, whatever the server does; latency counts from the schedule.",
)  # fmt: skip
@click.option("--mix", "mix_text", metavar="NAME=WEIGHT,...", help="One load of several queries, drawn by weight.")
@click.option("--warm-up", type=click.FloatRange(min=0), metavar="SECONDS", help="Of the same load, before the clock.")
@click.option("--seconds", type=click.IntRange(min=1), default=SECONDS, show_default=True, help="The most a row takes.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the parameters' values.")
@click.option("--pgbench", "with_pgbench", is_flag=True, help="Also run pgbench on the same SQL, in turns.")
@json_option
def queries(
    names: tuple[str, ...], counts: tuple[int, ...], duration: float | None, connections: int, processes: int | None,
    driver: str, pipeline: int, rate: float | None, mix_text: str | None, warm_up: float | None, seconds: int,
    seed: int, with_pgbench: bool, json_path: Path | None,
) -> None:  # fmt: skip
    """Measure benchmark queries (dbt analyses) under load: queries a second and latency. All of them, or those named.

    A closed loop asks as fast as answers come: it shows the most that the server does. An open loop (--rate) asks on a
    schedule: it shows the latency that users would see, stalls included.

    Example: python -m bench queries people_older_than_mart --rate 5000 --duration 10 --driver libpq
    """
    if counts and duration is not None:
        raise click.UsageError("-n and --duration exclude each other: give one of them.")
    if names and mix_text is not None:
        raise click.UsageError("--mix names its queries itself: leave the other names out.")
    if DRIVERS[driver].is_in_process and processes not in (None, 1):
        raise click.UsageError(f"{driver} works in one process, on as many cores as it likes: leave --processes out.")
    run = Run(
        address=Address.from_environment(), driver=driver, connections=connections, seconds=duration or seconds,
        seed=seed, rate=rate, warm_up=warm_up, processes=processes, pipeline=pipeline,
    )  # fmt: skip
    by_time = duration is not None or (not counts and (rate is not None or mix_text is not None))
    asked: tuple[int | None, ...] = (None,) if by_time else counts or COUNTS
    weights = {} if mix_text is None else read_mix(mix_text)
    chosen = checked_benchmarks(names or tuple(weights), run)
    mixes = [Mix.of(one) for one in chosen]
    if weights:
        mixes = [Mix(tuple(chosen), tuple(weights[one.name] for one in chosen))]
    rows: list[Row] = []
    for mix in mixes:
        click.echo(f"measuring {mix.name}", err=True)
        rows += measure_mix(mix, asked, run)
    comparisons = [compare(mix, run) for mix in mixes] if with_pgbench else []
    console().print(rows_table(rows, run))
    lines = load_lines(rows, run)
    for comparison in comparisons:
        lines += comparison_lines(comparison, run)
    for line in lines if weights else [*lines, *closing_lines(rows)]:
        click.echo(line)
    keep("queries", figures(rows, comparisons, run, mixes[0] if weights else None), json_path)
    refuse_errors(rows)
