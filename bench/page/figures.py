"""A plot with its sentences, and the plots of compared variants and of index trials."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.comparison import Comparison, Comparisons, Timing
from bench.page.plots import Bar, bars
from bench.results import Result, of_kind
from bench.tables import COLUMNS, number
from bench.tune.trials import Trial, Tuning


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot (SVG), its title with units, what it means in sentences, and the results that it was drawn from."""

    title: str
    svg: str
    sentences: Sequence[str]
    results: Sequence[Result]

    @property
    def sources(self) -> list[Result]:
        """The results without those that the same command took of the same revision, the newest of each first."""
        newest = sorted(self.results, key=lambda result: result.circumstances.date)
        unique = {(result.command, result.circumstances.revision): result for result in newest}
        return list(reversed(unique.values()))


def comparisons(kind: str, results: Sequence[Result]) -> list[Figure]:
    """Draw the newest result of each comparison and size."""
    newest: dict[tuple[str, int], tuple[Result, Comparison]] = {}
    for result in of_kind(results, kind):
        for one in result.read(Comparisons).comparisons:
            if any(timing.seconds for timing in one.timings):
                newest.setdefault((one.name, max(timing.count for timing in one.timings)), (result, one))
    return [_comparison(result, one) for result, one in newest.values()]


def trials(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query its newest trials, the time with each index in units of the time without."""
    figures: dict[str, Figure] = {}
    for result in of_kind(results, "tune"):
        tuning = result.read(Tuning)
        for title in dict.fromkeys(trial.title for trial in tuning.trials):
            some = [trial for trial in tuning.trials if trial.title == title]
            figure = Figure(
                title=f"{title}: time with an index, in units of the time without; coloured beyond noise",
                svg=bars([_trial(trial) for trial in some], axis="time without an index = 1"),
                sentences=[one.text for one in tuning.sentences if one.about in ("", some[0].query)],
                results=[result],
            )
            figures.setdefault(title, figure)
    return list(figures.values())


def _comparison(result: Result, comparison: Comparison) -> Figure:
    taken = [timing for timing in comparison.timings if timing.seconds]
    rounds = max(len(timing.seconds) for timing in taken)
    axis = f"{comparison.unit}/s" if comparison.ratio_of == "rate" else "seconds"
    medians = f", median of {rounds} alternating rounds" if rounds > 1 else ""
    svg = bars([_timing(timing, comparison) for timing in taken], axis=axis)
    title = f"{comparison.title}: {axis}{medians}"
    return Figure(title=title, svg=svg, sentences=comparison.sentences, results=[result])


def _timing(timing: Timing, comparison: Comparison) -> Bar:
    """Return a bar with the range of its single runs."""
    by_rate, seconds, rate = comparison.ratio_of == "rate", timing.median or 0.0, timing.rate
    words = [] if by_rate else [f"{number(seconds)} s"]
    words += [f"{number(rate)} {comparison.unit}/s"] if rate is not None else []
    words += [f"{number(timing.ratio.median)} \N{MULTIPLICATION SIGN}"] if timing.ratio is not None else []
    for name, (heading, written) in COLUMNS.items():
        if (value := getattr(timing, name)) is not None and name not in ("table_bytes", "index_bytes"):
            words.append(f"{heading} {written(value)}")
    runs = [timing.count / one for one in timing.seconds] if by_rate else timing.seconds
    value, is_ours = (rate or 0.0) if by_rate else seconds, timing.origin == "ours"
    return Bar(name=timing.title, value=value, text=" · ".join(words), is_ours=is_ours, low=min(runs), high=max(runs))


def _trial(trial: Trial) -> Bar:
    before, after = statistics.median(trial.ms_before), statistics.median(trial.ms_after)
    text = f"{number(trial.ratio.median)} \N{MULTIPLICATION SIGN} · {number(before)} to {number(after)} ms"
    return Bar(
        name=trial.candidate, value=trial.ratio.median, text=text, is_ours=trial.is_beyond_noise,
        low=trial.ratio.low, high=trial.ratio.high,
    )  # fmt: skip
