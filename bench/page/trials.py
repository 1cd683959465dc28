"""The plot of index trials: a query's time with each index."""

import statistics
from collections.abc import Sequence

from bench.page.figure import Figure
from bench.page.plots import Cell, matrix
from bench.results import Result, of_kind
from bench.tune.report import TuningFigures
from bench.tune.trials import Trial
from bench.words import number, times

# As many columns as can be read; those that changed something come first.
MOST_CANDIDATES = 7
FASTER, SLOWER, SAME = "less time, beyond noise", "more time, beyond noise", "no change beyond noise"


def indexes(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query its newest trials, the time with each index in units of the time without."""
    newest: dict[str, tuple[Result, TuningFigures]] = {}
    for result in of_kind(results, "tune"):
        figures = result.read(TuningFigures)
        for trial in figures.trials:
            newest.setdefault(trial.query, (result, figures))
    trials = [one for query, (_, figures) in newest.items() for one in figures.trials if one.query == query]
    if not trials:
        return []
    by_weight = sorted(trials, key=_weight, reverse=True)
    candidates = list(dict.fromkeys(trial.candidate for trial in by_weight))
    shown = candidates[:MOST_CANDIDATES]
    cells = [
        Cell(
            row=trial.query,
            column=_short(trial.candidate),
            text=f"{times(trial.ratio.median)}\n{_spent(trial)}",
            kind=_kind(trial),
        )
        for trial in trials
        if trial.candidate in shown
    ]
    said = [one.text for query, (_, figures) in newest.items() for one in figures.sentences if one.about in ("", query)]
    if len(candidates) > len(shown):
        said.append(f"{len(candidates) - len(shown)} more candidates are left out: the result's file has them.")
    return [
        Figure(
            title="A query's time with an index, in units of its time without (medians)",
            svg=matrix(cells, kinds=(FASTER, SLOWER, SAME)),
            sentences=list(dict.fromkeys(said)),
            results=list({result.path: result for result, _ in newest.values()}.values()),
        )
    ]


def _weight(trial: Trial) -> tuple[bool, bool, float]:
    return _kind(trial) == FASTER, trial.is_used, -trial.ratio.median


def _kind(trial: Trial) -> str:
    if not trial.is_beyond_noise:
        return SAME
    return FASTER if trial.ratio.median < 1 else SLOWER


def _spent(trial: Trial) -> str:
    """Say the medians before and after."""
    before, after = statistics.median(trial.ms_before), statistics.median(trial.ms_after)
    return f"{number(before)} to {number(after)} ms"


def _short(candidate: str) -> str:
    """Break a candidate's name before its columns, without its schema."""
    table, _, columns = candidate.partition(" ")
    return f"{table.rpartition('.')[2]}\n{columns}"
