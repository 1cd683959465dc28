"""The command `tune`: index trials of benchmark queries."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.circumstances import read_circumstances
from bench.options import json_option, say, seed_option
from bench.queries.benchmarks import Benchmark, choose, compile_benchmarks
from bench.results import keep
from bench.tables import console
from bench.tune.candidates import SETS, read_candidate
from bench.tune.report import figures, trials_tables
from bench.tune.trials import tune as try_candidates
from loaders.connection import Address, connect


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--index", "written", multiple=True, metavar='"TABLE (COLUMNS)"', help="Index to try; may be repeated.")
@click.option("--set", "set_name", type=click.Choice(list(SETS)), help="A ready set of indexes, with its queries.")
@click.option("--propose", is_flag=True, help="Also try what the plans suggest; the default where no index is given.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True,
    help="Runs with and without each index, alternating.",
)  # fmt: skip
@seed_option
@click.option(
    "--lock-seconds", type=click.FloatRange(min=0.001), default=5, show_default=True,
    help="Longest wait for a table's lock.",
)  # fmt: skip
@json_option
def tune(
    names: tuple[str, ...], written: tuple[str, ...], set_name: str | None, propose: bool, rounds: int, seed: int,
    lock_seconds: float, json_path: Path | None,
) -> None:  # fmt: skip
    """Try indexes on benchmark queries (dbt analyses), all of them or those named, and leave none behind.

    Each index is built in a transaction that is always rolled back, also where this command is killed. Readers go on;
    writers of its table wait until its trial ends. An index counts where the plan changes and the medians differ by
    more than the noise, the larger of both sides' spreads (largest less smallest).

    Example: python -m bench tune people_older_than_core --index "people (age)" --index "people (city, age)"
    """
    address = Address.from_environment()
    connect(address).close()  # a server that is down is told in one line, before dbt starts
    candidates = [read_candidate(one) for one in written]
    if set_name is not None:
        candidates += map(read_candidate, SETS[set_name].written)
    known = compile_benchmarks(Path.cwd(), address)
    tuning = try_candidates(
        of_set_or_named(known, names, set_name), candidates, address, rounds=rounds, seed=seed,
        lock_seconds=lock_seconds, proposing=propose or not candidates, say=say,
    )  # fmt: skip
    found = figures(tuning, seed)
    screen = console()
    for one in trials_tables(found.trials):
        screen.print(one)
    for sentence in found.sentences:
        click.echo(sentence.text)
    keep("tune", found, read_circumstances(address), json_path)


def of_set_or_named(known: Sequence[Benchmark], names: Sequence[str], set_name: str | None) -> list[Benchmark]:
    """Return the queries that are named, or else those of the set, or else all."""
    if names or set_name is None:
        return choose(known, names)
    of_set = SETS[set_name]
    ready = [one.name for one in known if one.name.startswith(of_set.prefix) and one.name.endswith(of_set.suffix)]
    # A project without them is told which name is missing.
    return choose(known, ready or [f"{of_set.prefix}...{of_set.suffix}"])
