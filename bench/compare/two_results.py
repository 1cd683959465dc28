"""Two results of one command, months apart: their rows matched, and how much slower the second one is.

The machine drifts between the two and within each. So nothing is compared but what a round says in units of what was
measured beside it: a query's figures in units of the anchor query's time, a variant's time in units of its rival's.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.compare.intervals import FEWEST_ROUNDS, Interval, ratio_interval
from bench.comparison import Comparison, Comparisons
from bench.errors import ToolError
from bench.queries.report import QueriesFigures
from bench.queries.rows import Row
from bench.results import Result

QUERY_FIGURES = ("qps", "p50_ms", "p95_ms", "p99_ms")
FIGURES = ("qps", "p50", "p95", "p99", "time")
COMPARISONS = ("load", "records", "transform", "many")


@dataclass(frozen=True)
class Series:
    """A figure of one row: the median as it was measured, and each round's cost in units of what was beside it."""

    row: str
    figure: str
    median: float
    costs: Sequence[float]


@dataclass(frozen=True)
class Change:
    """A figure of a row in both results: the ratio of the second's cost to the first's, in few rounds without interval.

    `medians` are as they were measured, `rounds` how many each result has.
    """

    row: str
    figure: str
    medians: tuple[float, float]
    rounds: tuple[int, int]
    ratio: float
    interval: Interval | None

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.interval is None:
            return f"{min(self.rounds)} rounds: too few"
        if self.interval.low > 1:
            return "slower"
        return "faster" if self.interval.high < 1 else "no difference found"

    def is_slower_by(self, share: float) -> bool:
        """Tell whether it is slower beyond noise, and by more than a share."""
        return self.interval is not None and self.interval.low > 1 and self.interval.ratio > 1 + share


@dataclass(frozen=True)
class TwoResults:
    """What became of each row, which rows only one of the results has, and what else differs."""

    changes: Sequence[Change]
    unmatched: Sequence[str]
    differences: Sequence[str]


def compare_results(before: Result, after: Result) -> TwoResults:
    """Compare two results of one kind; ToolError where they have nothing in common."""
    if before.kind != after.kind:
        raise ToolError(
            f"{before.path} is of `{before.kind}`, {after.path} of `{after.kind}`: name two of one command."
        )
    old, new = read_series(before), read_series(after)
    changes = [_change(old[key], new[key]) for key in old if key in new]
    if not changes:
        raise ToolError(f"{before.path} and {after.path} have no row in common: measure the same rows in both.")
    unmatched = [", ".join(key) for key in {**old, **new} if (key in old) != (key in new)]
    return TwoResults(changes, unmatched, before.circumstances.differences(after.circumstances))


def read_series(result: Result) -> Mapping[tuple[str, str], Series]:
    """Return every figure of a result that has rounds, by row and figure."""
    if result.kind == "queries":
        found = _of_queries(result.read(QueriesFigures))
    elif result.kind in COMPARISONS:
        found = (one for some in result.read(Comparisons).comparisons for one in _of_comparison(some))
    else:
        raise ToolError(f"{result.path} is of `{result.kind}`, which is not compared: name results of queries or load.")
    return {(one.row, one.figure): one for one in found}


def read_limit(text: str) -> tuple[str, float]:
    """Read FIGURE:PERCENT% as a figure and a share; ToolError if it cannot be read."""
    figure, _, percent = text.partition(":")
    try:
        share = float(percent.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if figure not in FIGURES or not 0 <= share < 100:
        raise ToolError(f"--fail {text!r} cannot be read: write it as p99:10%, with one of {', '.join(FIGURES)}.")
    return figure, share


def _of_queries(figures: QueriesFigures) -> Iterator[Series]:
    how = f"{figures.driver}, {figures.connections} connections"
    if figures.is_open:
        how += f", {figures.load_model.rate:g}/s"
    for row in figures.rows:
        for name in QUERY_FIGURES:
            costs = list(_costs(row, name))
            spread = row.spread(name)
            if costs and spread is not None and not (figures.is_open and name == "qps"):
                yield Series(f"{row.title}, {how}", name.removesuffix("_ms"), spread.median, costs)


def _costs(row: Row, name: str) -> Iterator[float]:
    """Yield what each round says in units of the anchor query's time; larger is slower."""
    for one in row.rounds:
        value = getattr(one, name)
        if value and one.anchor_qps:
            yield one.anchor_qps / value if name == "qps" else value * one.anchor_qps


def _of_comparison(comparison: Comparison) -> Iterator[Series]:
    """Yield each variant's time in units of its round's base."""
    base = next((one for one in comparison.timings if one.title == comparison.base), None)
    for one in comparison.timings:
        if base is not None and one is not base and one.seconds and len(one.seconds) == len(base.seconds):
            costs = [own / unit for own, unit in zip(one.seconds, base.seconds, strict=True)]
            yield Series(
                f"{comparison.name}, {one.title} to {base.title}", "time", statistics.median(one.seconds), costs
            )


def _change(old: Series, new: Series) -> Change:
    rounds = len(old.costs), len(new.costs)
    interval = ratio_interval(new.costs, old.costs) if min(rounds) >= FEWEST_ROUNDS else None
    ratio = interval.ratio if interval else statistics.median(new.costs) / statistics.median(old.costs)
    return Change(old.row, old.figure, (old.median, new.median), rounds, ratio, interval)
