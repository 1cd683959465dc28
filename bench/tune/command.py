"""The command `tune`: index trials of benchmark queries, as tables, sentences and figures."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from bench.environment import read_circumstances
from bench.queries.benchmarks import Benchmark, choose, compile_benchmarks
from bench.results import Sentence, json_option, keep, say, seed_option
from bench.tables import console, table
from bench.tune.candidates import SETS, read_candidate
from bench.tune.trials import Trial, Tuning, UnreadTable
from bench.tune.trials import tune as try_candidates
from loaders.connection import Address, connect

HEADINGS = (
    "ms before", "after", "ratio", "noise", "pages before", "after", "index MB", "build s", "used",
)  # fmt: skip
NOTHING = "There was nothing to try: the plans suggest no index that is not there."
NONE_LEFT = "Every index was rolled back; none is left."


def trials_tables(trials: Iterable[Trial]) -> Iterator[Table]:
    """Yield a table for each query: a row a candidate."""
    trials = list(trials)
    for title in dict.fromkeys(trial.title for trial in trials):
        some = [trial for trial in trials if trial.title == title]
        heading = f"{title}, medians of {len(some[0].ms_before)} runs"
        yield table(heading, ["candidate"], HEADINGS, map(_row, some), ["the plan's change"])


def _row(trial: Trial) -> list[str]:
    cells = [
        trial.candidate,
        f"{statistics.median(trial.ms_before):,.2f}",
        f"{statistics.median(trial.ms_after):,.2f}",
        f"{trial.ratio.median:.2f}",
        f"{trial.noise:.0%}",
        f"{trial.pages_before:,}",
        f"{trial.pages_after:,}",
        f"{trial.index_bytes / 1e6:,.2f}",
        f"{trial.build_seconds:.2f}",
        "yes" if trial.is_used else "no",
        trial.change,
    ]
    return [f"[bold]{cell}[/]" for cell in cells] if trial.is_beyond_noise else cells


def sentences(tuning: Tuning) -> Iterator[Sentence]:
    """Say for each query which candidates change something beyond noise, and which do not, and why."""
    tried: list[Trial | UnreadTable] = [*tuning.trials, *tuning.not_read]
    titles = {one.title: one.query for one in tried}
    for title, query in titles.items():
        trials = [trial for trial in tuning.trials if trial.title == title]
        unread = [one for one in tuning.not_read if one.title == title]
        changing = [trial for trial in trials if trial.is_beyond_noise]
        idle = [trial for trial in trials if not trial.is_beyond_noise]
        verb = "changes" if len(changing) == 1 else "change"
        said = [f"{len(changing)} of {len(trials) + len(unread)} candidates {verb} the time beyond noise"]
        said += [f"{trial.candidate} takes {_ratio(trial)}" for trial in changing]
        said += _listed("used, but within noise", [trial for trial in idle if trial.is_used])
        said += _listed("not used", [trial for trial in idle if not trial.is_used])
        said += [f"{len(unread)} on tables that it does not read"] if unread else []
        yield Sentence("trials", query, f"{title}: {'; '.join(said)}.")
    yield Sentence("trials", "", NONE_LEFT if tuning.trials else NOTHING)


def _ratio(trial: Trial) -> str:
    ratio = trial.ratio.median
    return f"{ratio:.2g} of the time" if ratio < 1 else f"{ratio:.2g} times the time"


def _listed(what: str, trials: Sequence[Trial]) -> list[str]:
    return [f"{what}: {', '.join(trial.candidate for trial in trials)}"] if trials else []


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
    tuning = replace(tuning, sentences=tuple(sentences(tuning)))
    screen = console()
    for one in trials_tables(tuning.trials):
        screen.print(one)
    for sentence in tuning.sentences:
        click.echo(sentence.text)
    keep("tune", tuning, read_circumstances(address), json_path)


def of_set_or_named(known: Sequence[Benchmark], names: Sequence[str], set_name: str | None) -> list[Benchmark]:
    """Return the queries that are named, or else those of the set, or else all."""
    if names or set_name is None:
        return choose(known, names)
    of_set = SETS[set_name]
    ready = [one.name for one in known if one.name.startswith(of_set.prefix) and one.name.endswith(of_set.suffix)]
    # A project without them is told which name is missing.
    return choose(known, ready or [f"{of_set.prefix}...{of_set.suffix}"])
