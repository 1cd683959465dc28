"""The command `queries`: benchmark queries under load."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from bench.environment import Circumstances
from bench.errors import ToolError
from bench.queries.answers import checked_benchmarks
from bench.queries.benchmarks import read_circumstances_of
from bench.queries.drivers import DRIVERS
from bench.queries.during import measure_during, program_of
from bench.queries.measure import check_errors, measure_mixes
from bench.queries.pgbench import Pgbench, PgbenchComparison, compare, pgbench_program
from bench.queries.report import QueriesFigures, figures, rows_table
from bench.queries.rows import Row
from bench.queries.run import Mix, Run, read_weights
from bench.queries.slo import Goal, SloSearch, read_goal, search
from bench.results import json_option, keep, rounds_option, say, seed_option
from bench.tables import console
from loaders.connection import Address

COUNTS = (10, 100, 1000)
SECONDS = 10
MOST_SECONDS = 60
TIMEOUT_SECONDS = 60
ANCHOR_SECONDS = 0.5


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
    help="Number of queries; a row each.  [default: 10 100 1000; none with --duration, --rate, --mix, --slo, --during]",
)  # fmt: skip
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help=f"Time a row takes in each round; with -n, the longest that it may take.  [default: {SECONDS}]",
)  # fmt: skip
@click.option(
    "--limit", "most", type=click.FloatRange(min=0, min_open=True), default=MOST_SECONDS, show_default=True,
    metavar="SECONDS",
    help="Longest time of a slow query's row, which without -n goes on until it has 200 answers, or 20 a connection; "
    "also how long the first layer's answers are fetched, which are then compared with the others'.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0.001), default=TIMEOUT_SECONDS, show_default=True, metavar="SECONDS",
    help="Time after which the server ends a query, which then counts as an error.",
)  # fmt: skip
@rounds_option
@click.option(
    "--connections", type=click.IntRange(min=1), default=8, show_default=True, help="Connections, with a worker each."
)
@click.option(
    "--processes", type=click.IntRange(min=1), metavar="P",
    help="Processes that share the connections.  [default: one a usable core]",
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
    help="Open loop: R queries a second at random times, whatever the server does; latency counts from these.",
)  # fmt: skip
@click.option("--mix", "mix_text", metavar="NAME=WEIGHT,...", help="One load of several queries, drawn by weight.")
@click.option(
    "--slo", "goal", metavar='"p99<10ms"', callback=lambda _ctx, _param, text: text and read_goal(text),
    help="Find the highest rate at which a percentile holds, by bisection.",
)  # fmt: skip
@click.option("--during", metavar="COMMAND", help="Measure second by second while a command runs, and around it.")
@click.option(
    "--warm-up", type=click.FloatRange(min=0), metavar="SECONDS",
    help="Run the same load for this time before the clock starts.",
)  # fmt: skip
@seed_option
@click.option("--pgbench", "with_pgbench", is_flag=True, help="Also run pgbench on the same SQL, alternating.")
@json_option
def queries(
    names: tuple[str, ...], counts: tuple[int, ...], duration: float | None, most: float, timeout: float, rounds: int,
    connections: int, processes: int | None, driver: str, pipeline: int, rate: float | None, mix_text: str | None,
    goal: Goal | None, during: str | None, warm_up: float | None, seed: int, with_pgbench: bool,
    json_path: Path | None,
) -> None:  # fmt: skip
    """Measure benchmark queries (dbt analyses) under load: queries a second and latency. All of them, or those named.

    A closed loop sends a query when the last one is answered: it shows the most that the server does. An open loop
    (--rate) sends on a schedule: it shows the latency that users would see, stalls included. Queries alternate over the
    rounds; the tables show medians, and the result keeps every round.

    Example: python -m bench queries people_older_than_mart --rate 5000 --duration 10 --driver libpq
    """
    if names and mix_text is not None:
        raise click.UsageError("--mix names its queries itself: leave the other names out.")
    if (goal and (during or rate or counts or with_pgbench)) or (during and (counts or with_pgbench)):
        raise click.UsageError(
            "--slo finds its rates, --during its time: leave out -n, --pgbench and, with --slo, --rate."
        )
    if driver == "duckdb" and (goal or during or with_pgbench):
        raise click.UsageError(
            "--driver duckdb asks its file beside PostgreSQL: leave out --slo, --during and --pgbench."
        )
    run = Run(
        address=Address.from_environment(), driver=driver, connections=connections, seconds=duration or SECONDS,
        seed=seed, rate=rate, warm_up=warm_up, processes=processes, pipeline=pipeline, most_seconds=most,
        timeout=timeout, anchor_seconds=ANCHOR_SECONDS, is_observed=True,
    )  # fmt: skip
    by_time = not counts and any(one is not None for one in (duration, rate, mix_text, goal, during))
    wanted: Sequence[int | None] = (None,) if by_time else counts or COUNTS
    weights = {} if mix_text is None else read_weights(mix_text)
    if during is not None:
        program_of(during)
    if with_pgbench:
        pgbench_program(run.address)
    chosen = checked_benchmarks(names or tuple(weights), run)
    mixes = [Mix.of(one) for one in chosen]
    if weights:
        mixes = [Mix(tuple(chosen), tuple(weights[one.name] for one in chosen))]
    if during is not None and len(mixes) > 1:
        raise click.UsageError("--during measures one query or one --mix: name it.")
    beside, missing = _pgbenches(mixes, run) if with_pgbench else ([], [])
    elsewhere: list[tuple[Mix, Run]] = []
    if driver == "duckdb":
        run, elsewhere = _beside_duckdb(mixes, run)
    say(f"measuring {', '.join(mix.name for mix in [*mixes, *(mix for mix, _ in elsewhere)])}")
    mix = mixes[0] if weights else None
    if during is not None:
        rows, taken = measure_during(mixes[0], run, during)
        measured = figures(rows, run, mix=mix, during=taken)
    elif goal is not None:
        searches, rows = _searched(mixes, run, goal)
        measured = figures(rows, run, mix=mix, slo=searches)
    else:
        rows = measure_mixes(mixes, wanted, run, rounds, elsewhere=elsewhere)
        measured = figures(rows, run, [*(compare(one, rounds) for one in beside), *missing], mix)
    _tell(measured, read_circumstances_of(chosen, run.address), run, json_path)
    if measured.during is not None and measured.during.exit_code:
        raise ToolError(
            f"The command ended with exit code {measured.during.exit_code}: its own words are above. Fix what it says, "
            "then measure again."
        )


def _tell(measured: QueriesFigures, here: Circumstances, run: Run, json_path: Path | None) -> None:
    """Show the figures and keep them; QueryFailed if any query failed."""
    console().print(rows_table(measured.rows, run))
    for sentence in measured.sentences:
        click.echo(sentence.text)
    keep("queries", measured, here, json_path)
    check_errors(measured.rows)


def _pgbenches(mixes: Sequence[Mix], run: Run) -> tuple[list[Pgbench], list[PgbenchComparison]]:
    """Check, before anything is measured, what pgbench can run; what it cannot is left out, and says why."""
    found, missing = [], []
    for mix in mixes:
        try:
            found.append(Pgbench.checked(mix, run))
        except ToolError as error:
            missing.append(PgbenchComparison(mix.name, note=str(error)))
    return found, missing


def _searched(mixes: Sequence[Mix], run: Run, goal: Goal) -> tuple[list[SloSearch], list[Row]]:
    searches: list[SloSearch] = []
    rows: list[Row] = []
    for mix in mixes:
        one, some = search(mix, replace(run, anchor_seconds=0), goal, say)
        searches.append(one)
        rows += some
    return searches, rows


def _beside_duckdb(mixes: Sequence[Mix], run: Run) -> tuple[Run, list[tuple[Mix, Run]]]:
    """Return how PostgreSQL is asked, and beside it the same mixes as DuckDB's file takes them."""
    from bench.queries.duckdb_driver import in_duckdb

    # The anchor and what is observed are the server's.
    there = replace(run, anchor_seconds=0, is_observed=False)
    mixes_there = [
        replace(mix, benchmarks=tuple(in_duckdb(one, run.address) for one in mix.benchmarks)) for mix in mixes
    ]
    return replace(run, driver="asyncpg"), [(mix, there) for mix in mixes_there]
