"""The plots of compared variants: loading, records from Python, dbt's strategies, many queries, the demo's steps."""

from collections.abc import Sequence

from bench.comparison import Comparison, Comparisons, Timing
from bench.page.figure import Figure
from bench.page.plots import Bar, bars
from bench.results import Result, of_kind
from bench.tables import COLUMNS
from bench.words import number, times


def draw(kind: str, results: Sequence[Result]) -> list[Figure]:
    """Draw the newest result of each comparison and size."""
    newest: dict[tuple[str, int], tuple[Result, Comparison]] = {}
    for result in of_kind(results, kind):
        for one in result.read(Comparisons).comparisons:
            if any(timing.seconds for timing in one.timings):
                newest.setdefault((one.name, max(timing.count for timing in one.timings)), (result, one))
    return [_figure(result, one) for result, one in newest.values()]


def _figure(result: Result, comparison: Comparison) -> Figure:
    taken = [timing for timing in comparison.timings if timing.seconds]
    rounds = max(len(timing.seconds) for timing in taken)
    by_rate = comparison.ratio_of == "rate"
    axis = f"{comparison.unit}/s" if by_rate else "seconds"
    medians = f", median of {rounds} alternating rounds" if rounds > 1 else ""
    return Figure(
        title=f"{comparison.title}: {axis}{medians}",
        svg=bars([_bar(timing, comparison, by_rate=by_rate) for timing in taken], axis=axis),
        sentences=comparison.sentences,
        results=[result],
    )


def _bar(timing: Timing, comparison: Comparison, *, by_rate: bool) -> Bar:
    """Return a bar with the range of its single runs, where there is more than one."""
    seconds, rate = timing.median or 0.0, timing.rate
    words = [] if by_rate else [f"{number(seconds)} s"]
    words += [f"{number(rate)} {comparison.unit}/s"] if rate is not None else []
    words += [times(timing.ratio.median)] if timing.ratio is not None else []
    for name, (heading, written) in COLUMNS.items():
        if (value := getattr(timing, name)) is not None and name not in ("table_bytes", "index_bytes"):
            words.append(f"{heading} {written(value)}")
    runs = [timing.count / one for one in timing.seconds] if by_rate else timing.seconds
    low, high = (min(runs), max(runs)) if len(runs) > 1 else (None, None)
    value = (rate or 0.0) if by_rate else seconds
    is_ours = timing.origin == "ours"
    return Bar(name=timing.title, value=value, text=" · ".join(words), is_ours=is_ours, low=low, high=high)
