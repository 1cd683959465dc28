"""The command `tune`: index trials of benchmark queries, as tables, sentences and figures."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from bench.queries.benchmarks import Benchmark, choose, compile_benchmarks, read_circumstances_of
from bench.results import Sentence, json_option, keep, say
from bench.tables import console, table
from bench.tune.candidates import SETS, read_candidate
from bench.tune.decision import Verdict
from bench.tune.trials import Trial, Tuning, UnreadTable
from bench.tune.trials import tune as try_candidates
from loaders.connection import Address, connect

HEADINGS = ("ms without, with", "ratio", "pairs", "pages without, with", "index MB", "build s")
NOTHING = "There was nothing to try: the plans suggest no index that is not there."
NONE_LEFT = "Every index was rolled back; none is left."
KEPT = "The result has every run, and the plans before and after, whole, as text and JSON."


def trials_tables(trials: Iterable[Trial]) -> Iterator[Table]:
    """Yield a table for each query and its arguments: a row a candidate."""
    trials = list(trials)
    for title in dict.fromkeys(trial.title for trial in trials):
        some = [trial for trial in trials if trial.title == title]
        yield table(f"{title}, medians", ["candidate"], HEADINGS, map(_row, some), ["verdict", "the plan's change"])


def _row(trial: Trial) -> list[str]:
    without, with_it = statistics.median(trial.ms_before), statistics.median(trial.ms_after)
    cells = [
        trial.candidate,
        f"{without:,.2f}, {with_it:,.2f}",
        "-" if trial.verdict is Verdict.SAME_PLAN else str(trial.ratio),
        str(len(trial.ms_before)),
        f"{trial.pages_before:,}, {trial.pages_after:,}",
        f"{trial.index_bytes / 1e6:,.2f}",
        f"{trial.build_seconds:.2f}",
        trial.verdict,
        trial.change,
    ]
    return [f"[bold]{cell}[/]" for cell in cells] if trial.is_beyond_noise else cells


def sentences(tuning: Tuning) -> Iterator[Sentence]:
    """Say for each query and its arguments which candidates change the time, which do not, and which are undecided."""
    tried: list[Trial | UnreadTable] = [*tuning.trials, *tuning.not_read]
    for title, query in {one.title: one.query for one in tried}.items():
        trials = [trial for trial in tuning.trials if trial.title == title]
        unread = [one for one in tuning.not_read if one.title == title]
        changing = [trial for trial in trials if trial.is_beyond_noise]
        verb = "changes" if len(changing) == 1 else "change"
        said = [f"{len(changing)} of {len(trials) + len(unread)} candidates {verb} the time"]
        said += [f"{trial.candidate} takes {_ratio(trial)}" for trial in changing]
        for verdict in (Verdict.NO_DIFFERENCE, Verdict.UNDECIDED):
            same = [trial.candidate for trial in trials if trial.verdict is verdict]
            said += [f"{verdict}: {', '.join(same)}"] if same else []
        idle = sum(trial.verdict is Verdict.SAME_PLAN for trial in trials)
        said += [f"{idle} leave the plan as it is"] if idle else []
        said += [f"{len(unread)} on tables that it does not read"] if unread else []
        yield Sentence("trials", query, f"{title}: {'; '.join(said)}.")
    if tuning.together and tuning.trials:
        yield Sentence("trials", "", "A candidate with a plus was tried with those before it.")
    yield Sentence("trials", "", NONE_LEFT if tuning.trials else NOTHING)


def _ratio(trial: Trial) -> str:
    ratio = trial.ratio.median
    return f"{ratio:.2g} of the time" if ratio < 1 else f"{ratio:.2g} times the time"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--index", "written", multiple=True, metavar='"TABLE (COLUMNS)"', help="Index to try; may be repeated.")
@click.option("--set", "set_name", type=click.Choice(list(SETS)), help="A ready set of indexes, with its queries.")
@click.option("--propose", is_flag=True, help="Also try what the plans suggest; the default where no index is given.")
@click.option("--together", is_flag=True, help="Keep each index for the trials of the next ones, as people add them.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=10, show_default=True,
    help="Pairs of runs, with and without the index, before the first decision.",
)  # fmt: skip
@click.option(
    "--most-rounds", type=click.IntRange(min=1), default=80, show_default=True,
    help="Pairs after which a trial that decides nothing is undecided.",
)  # fmt: skip
@click.option(
    "--lock-seconds", type=click.FloatRange(min=0.001), default=5, show_default=True,
    help="Longest wait for a table's lock.",
)  # fmt: skip
@json_option
def tune(
    names: tuple[str, ...], written: tuple[str, ...], set_name: str | None, propose: bool, together: bool, rounds: int,
    most_rounds: int, lock_seconds: float, json_path: Path | None,
) -> None:  # fmt: skip
    """Try indexes on benchmark queries (dbt analyses), all of them or those named, and leave none behind.

    Each index is built in a transaction that is always rolled back, also where this command is killed. Readers go on;
    writers of its table wait until its trial ends (with --together, until all end). Each query is tried with the low,
    middle and high values of its parameters. Where the plan changes, pairs of runs go on until the sign test says that
    the median ratio is more than 5 % from 1, or less, or that the most rounds decide nothing.

    Example: python -m bench tune people_older_than_core --index "people (age)" --index "people (city, age)"
    """
    address = Address.from_environment()
    connect(address).close()  # a server that is down is told in one line, before dbt starts
    candidates = [read_candidate(one) for one in written]
    if set_name is not None:
        candidates += map(read_candidate, SETS[set_name].written)
    chosen = of_set_or_named(compile_benchmarks(Path.cwd(), address), names, set_name)
    tuning = try_candidates(
        chosen, candidates, address, rounds=rounds,
        most_rounds=max(rounds, most_rounds), lock_seconds=lock_seconds, together=together,
        proposing=propose or not candidates, say=say,
    )  # fmt: skip
    tuning = replace(tuning, sentences=tuple(sentences(tuning)))
    screen = console()
    for one in trials_tables(tuning.trials):
        screen.print(one)
    for sentence in tuning.sentences:
        click.echo(sentence.text)
    click.echo(KEPT)
    keep("tune", tuning, read_circumstances_of(chosen, address), json_path)


def of_set_or_named(known: Sequence[Benchmark], names: Sequence[str], set_name: str | None) -> list[Benchmark]:
    """Return the queries that are named, or else those of the set, or else all."""
    if names or set_name is None:
        return choose(known, names)
    of_set = SETS[set_name]
    ready = [one.name for one in known if one.name.startswith(of_set.prefix) and one.name.endswith(of_set.suffix)]
    # A project without them is told which name is missing.
    return choose(known, ready or [f"{of_set.prefix}...{of_set.suffix}"])
