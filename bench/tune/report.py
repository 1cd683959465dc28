"""What index trials look like: a table a query, sentences, and the figures that are kept."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.results import Sentence
from bench.tables import table
from bench.tune.trials import Trial, Tuning, UnreadTable

HEADINGS = (
    "ms before", "after", "ratio", "noise", "pages before", "after", "index MB", "build s", "used",
)  # fmt: skip
NOTHING = "There was nothing to try: the plans suggest no index that is not there."
NONE_LEFT = "Every index was rolled back; none is left."


@dataclass(frozen=True)
class TuningFigures:
    """The trials and what they say in words."""

    seed: int
    trials: tuple[Trial, ...]
    not_read: tuple[UnreadTable, ...]
    sentences: tuple[Sentence, ...]


def figures(tuning: Tuning, seed: int) -> TuningFigures:
    """Return the figures of all trials."""
    return TuningFigures(seed, tuning.trials, tuning.not_read, tuple(_sentences(tuning)))


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


def _sentences(tuning: Tuning) -> Iterator[Sentence]:
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
