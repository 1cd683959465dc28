"""Variants of one job, timed in alternating rounds, and their ratios to the first of them.

A machine that others share drifts, so only runs of the same round are compared: a ratio is the median of the rounds'
ratios, with the least and the largest. Each round begins with the next variant, so that none always follows the same.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from bench.errors import RunFailed, ToolError

Origin = Literal["ours", "reference", "peer"]
Measure = Literal["time", "rate"]
N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Spread:
    """A median, with the least and the largest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of one value or more."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired_ratio(values: Sequence[float], units: Sequence[float]) -> Spread:
    """Return the ratios of values to units of the same round."""
    return Spread.of([value / unit for value, unit in zip(values, units, strict=True)])


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run cost: seconds, and what else was measured."""

    seconds: float
    peak_bytes: int | None = None
    wal_bytes: int | None = None
    reader_wait_seconds: float | None = None
    dead_rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant of a job: a function that runs round number n of it, and what `count` of a unit it handles a run.

    `missing` says why it cannot be run here.
    """

    name: str
    title: str
    count: int
    measure: Callable[[int], Run]
    origin: Origin = "ours"
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A variant's seconds, one a round, and its ratio to the first variant; `note` says why there are none."""

    variant: str
    title: str
    origin: Origin
    count: int
    seconds: tuple[float, ...] = ()
    ratio: Spread | None = None
    note: str = ""
    has_failed: bool = False
    # The largest of all rounds, but for the WAL: the median.
    peak_bytes: int | None = None
    wal_bytes: float | None = None
    reader_wait_seconds: float | None = None
    dead_rows: int | None = None
    # A table after the last round.
    table_bytes: int | None = None
    index_bytes: int | None = None

    @property
    def median(self) -> float | None:
        """The median of the seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def rate(self) -> float | None:
        """How many of the unit a second, by the median; None for none."""
        return self.count / self.median if self.median and self.count else None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The timings of one job; ratios are of time or of rate, to the variant titled `base`."""

    name: str
    title: str
    unit: str
    base: str
    ratio_of: Measure
    timings: tuple[Timing, ...]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """The figures of a command that compares variants, with the options that shaped them."""

    rounds: int
    comparisons: tuple[Comparison, ...]
    seed: int | None = None
    workers: int | None = None


def measure_comparison(
    name: str, title: str, unit: str, variants: Sequence[Variant], rounds: int, say: Callable[[str], None], *,
    ratio_of: Measure = "time", only: Sequence[str] = (), remarks: Sequence[str] = (),
) -> Comparison:  # fmt: skip
    """Run a variant once a round (`only` some): A B, B A. One whose run raises RunFailed is left out from then on."""
    chosen = [variant for variant in variants if not only or variant.name in only]
    notes = {variant.name: variant.missing for variant in chosen if variant.missing}
    runs: dict[str, list[Run]] = {variant.name: [] for variant in chosen}
    for turn in range(rounds):
        first = turn % max(len(chosen), 1)
        for variant in chosen[first:] + chosen[:first]:
            if variant.name in notes:
                continue
            say(f"{name}: round {turn + 1} of {rounds}: {variant.title}")
            try:
                runs[variant.name].append(variant.measure(turn))
            except RunFailed as error:
                notes[variant.name] = str(error)
    base = runs.get(variants[0].name, []) if variants[0].name not in notes else []
    timings = tuple(_timing(one, runs[one.name], base, notes.get(one.name, ""), ratio_of) for one in chosen)
    said = [*_ratios_in_words(timings, variants[0].title, ratio_of), *remarks]
    missing = [f"{one.title} ({one.note})" for one in timings if one.note]
    said += [f"Not measured: {'; '.join(missing)}."] if missing else []
    return Comparison(
        name=name, title=title, unit=unit, base=variants[0].title, ratio_of=ratio_of, timings=timings,
        sentences=tuple(said),
    )  # fmt: skip


def check_failures(comparisons: Sequence[Comparison]) -> None:
    """Raise ToolError if a variant that is not a peer's was tried and failed."""
    for comparison in comparisons:
        for timing in comparison.timings:
            if timing.has_failed and timing.origin != "peer":
                raise ToolError(
                    f"{comparison.name}, {timing.title}: {timing.note}. Fix what it says; no figure of it counts."
                )


def _timing(variant: Variant, runs: Sequence[Run], base: Sequence[Run], note: str, ratio_of: Measure) -> Timing:
    known = Timing(variant=variant.name, title=variant.title, origin=variant.origin, count=variant.count)
    if note or not runs:
        return replace(known, note=note, has_failed=note != variant.missing)
    own, unit = tuple(run.seconds for run in runs), tuple(run.seconds for run in base)
    ratio = None
    if unit:
        ratio = paired_ratio(own, unit) if ratio_of == "time" else paired_ratio(unit, own)
    written = [run.wal_bytes for run in runs if run.wal_bytes is not None]
    return replace(
        known, seconds=own, ratio=ratio, wal_bytes=statistics.median(written) if written else None,
        peak_bytes=_largest(run.peak_bytes for run in runs),
        reader_wait_seconds=_largest(run.reader_wait_seconds for run in runs),
        dead_rows=_largest(run.dead_rows for run in runs),
    )  # fmt: skip


def _largest(values: Iterable[N | None]) -> N | None:
    return max((value for value in values if value is not None), default=None)


def _ratios_in_words(timings: Sequence[Timing], base: str, ratio_of: Measure) -> list[str]:
    ratios = {one.title: one.ratio for one in timings if one.ratio is not None and one.title != base}
    if not ratios:
        return []
    if ratio_of == "time":
        words = [f"{title}: {ratio}" for title, ratio in ratios.items()]
        return [f"Time, {base} = 1: {'; '.join(words)}."]
    best = max(ratios, key=lambda title: ratios[title].median)
    if ratios[best].median <= 1:
        return [f"The fastest is {base}."]
    return [f"The fastest is {best}: {ratios[best]} times the rate of {base}."]
