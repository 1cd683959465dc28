"""Two runs of `figures`, hours apart: the figures whose ranges, lowest to highest of the rounds, do not overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compare.two_results import COMPARISONS, QUERY_FIGURES
from bench.comparison import Comparisons, Spread
from bench.errors import ToolError
from bench.queries.report import QueriesFigures
from bench.results import Result, read_result
from bench.tune.trials import Tuning

Figure = tuple[str, bool, Spread]


@dataclass(frozen=True)
class Repeated:
    """A figure in two runs; `is_ratio` where it is of paired runs."""

    name: str
    is_ratio: bool
    before: Spread
    after: Spread

    @property
    def overlaps(self) -> bool:
        """Tell whether any value is in both."""
        return self.before.low <= self.after.high and self.after.low <= self.before.high


def compare_folders(before: Path, after: Path) -> Sequence[Repeated]:
    """Return every figure of several rounds that both folders have; ToolError where there is none."""
    found = []
    for path in sorted(after.glob("*.json")):
        if (before / path.name).exists():
            old = {name: spread for name, _, spread in _figures(read_result(before / path.name))}
            found += [
                Repeated(f"{path.stem}: {name}", is_ratio, old[name], spread)
                for name, is_ratio, spread in _figures(read_result(path))
                if name in old
            ]
    if not found:
        raise ToolError(f"{before} and {after} have no figure in common: name two folders of `figures --to`.")
    return found


def _figures(result: Result) -> Iterator[Figure]:
    """Yield a result's figures of several rounds: the name, whether it is a ratio, the spread."""
    if result.kind == "queries":
        for row in result.read(QueriesFigures).rows:
            for figure in QUERY_FIGURES:
                spread = row.spread(figure)
                if spread is not None and len(row.rounds) > 1:
                    yield f"{row.title}, {figure}", False, spread
    elif result.kind == "tune":
        for trial in result.read(Tuning).trials:
            if len(trial.ms_before) > 1:
                yield f"{trial.title}, {trial.candidate}, ratio", True, trial.ratio
    elif result.kind in COMPARISONS:
        for one in result.read(Comparisons).comparisons:
            for timing in one.timings:
                if len(timing.seconds) > 1:
                    yield f"{one.name}, {timing.title}, s", False, Spread.of(timing.seconds)
                    if timing.ratio is not None and timing.title != one.base:
                        yield f"{one.name}, {timing.title}, {one.ratio_of} to {one.base}", True, timing.ratio
