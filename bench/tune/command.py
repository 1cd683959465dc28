"""The command `tune`: index trials of benchmark queries."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.queries.benchmarks import Benchmark, choose, compile_benchmarks
from bench.queries.report import console
from bench.results import json_option, keep
from bench.tune.candidates import SETS, read_candidate
from bench.tune.report import by_question, closing_lines, trials_table, tuning_figures
from bench.tune.trials import tune as run_trials
from loaders.connection import Address, connect


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--index", "written", multiple=True, metavar='"TABLE (COLUMNS)"', help="A candidate; may be repeated.")
@click.option("--set", "set_name", type=click.Choice(list(SETS)), help="Candidates and queries that are ready.")
@click.option("--propose", is_flag=True, help="Also what the plans suggest; the default where no candidate is given.")
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="With and without, in turns.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the parameters' values.")
@click.option(
    "--lock-seconds",
    type=click.FloatRange(min=0.001),
    default=5,
    show_default=True,
    help="To wait for the table's lock.",
)
@click.option("--hypothetical", is_flag=True, help="Build nothing: compare the planner's costs, by hypopg.")
@json_option
def tune(
    names: tuple[str, ...], written: tuple[str, ...], set_name: str | None, propose: bool, runs: int, seed: int,
    lock_seconds: float, hypothetical: bool, json_path: Path | None,
) -> None:  # fmt: skip
    """Try indexes on benchmark queries (dbt analyses), all of them or those named, and leave none behind.

    Each candidate is built in a transaction that is always rolled back, also where this command is killed. Readers go
    on; whoever writes to the candidate's table waits until its trial ends. A candidate counts where the plan changes
    and the medians differ by more than the noise, the larger of both sides' spreads (largest less smallest).

    Example: python -m bench tune people_older_than_core --index "people (age)" --index "people (city, age)"
    """
    address = Address.from_environment()
    connect(address).close()  # a server that is down is told in one line, before dbt starts
    candidates = [read_candidate(one) for one in written]
    if set_name is not None:
        candidates += map(read_candidate, SETS[set_name].written)
    known = compile_benchmarks(Path.cwd(), address)
    tuning = run_trials(
        of_set_or_named(known, names, set_name),
        candidates,
        address,
        runs=runs,
        seed=seed,
        lock_seconds=lock_seconds,
        proposing=propose or not candidates,
        hypothetical=hypothetical,
        say=lambda line: click.echo(line, err=True),
    )
    screen = console()
    for question, trials in by_question(tuning):
        screen.print(trials_table(question, trials))
    for line in closing_lines(tuning) or ["There was nothing to try: the plans suggest no index that is not there."]:
        click.echo(line)
    keep("tune", tuning_figures(tuning, address, seed), json_path)


def of_set_or_named(known: Sequence[Benchmark], names: Sequence[str], set_name: str | None) -> list[Benchmark]:
    """Return the queries that are named, or else those of the set, or else all."""
    if names or set_name is None:
        return choose(known, names)
    of_set = SETS[set_name]
    ready = [one.name for one in known if one.name.startswith(of_set.prefix) and one.name.endswith(of_set.suffix)]
    # A project without them is told which name is missing.
    return choose(known, ready or [f"{of_set.prefix}...{of_set.suffix}"])
