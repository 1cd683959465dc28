"""The highest rate of arrivals at which a percentile of latency stays below a limit, by bisection."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.errors import QueryFailed, UnknownQuery
from bench.queries.latency import PERCENTILES, answers_for
from bench.queries.measure import Bench, rows_of
from bench.queries.rows import Round, Row
from bench.queries.run import Mix, Run

FORM = re.compile(r"p([\d.]+) *< *([\d.]+) *(us|ms|s)")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
# The answer is as near to the true one as this share of it.
RESOLUTION = 0.05
# Above what a closed loop answers no rate can hold for long; below this share of it none is looked for.
ABOVE_CLOSED, LEAST_SHARE = 1.2, 0.05
MOST_SECONDS = 60


@dataclass(frozen=True)
class Goal:
    """What is to hold: the percentile, and the ms below which it is to stay."""

    text: str
    percent: float
    limit_ms: float


@dataclass(frozen=True)
class SloStep:
    """One run at one rate: the percentile in ms (None: too few answers), how many were unsent, whether it held."""

    rate: float
    value_ms: float | None
    unsent: int
    holds: bool


@dataclass(frozen=True)
class SloSearch:
    """A search for one query or mix: its goal, the highest rate that held (None: none did), all its runs."""

    query: str
    text: str
    limit_ms: float
    rate: float | None
    closed_qps: float
    steps: tuple[SloStep, ...]


def read_goal(text: str) -> Goal:
    """Read "p99<10ms"; UnknownQuery shows the form."""
    found = FORM.fullmatch(text.strip())
    known = {f"{one:g}": one for one in PERCENTILES}
    if found is None or found[1] not in known or not found[2].replace(".", "", 1).isdecimal():
        raise UnknownQuery(
            f"The goal {text!r} cannot be read: write it as --slo \"p99<10ms\", with a percentile of "
            f"{', '.join(known)} and us, ms or s."
        )  # fmt: skip
    return Goal(text, known[found[1]], float(found[2]) * UNITS[found[3]])


def search(mix: Mix, run: Run, goal: Goal, say: Callable[[str], None]) -> tuple[SloSearch, list[Row]]:
    """Find the rate; return the search, and the rows of the runs at that rate, or else at the lowest that was tried.

    A rate holds where two runs of at most three do. QueryFailed if the queries fail.
    """
    steps: list[SloStep] = []
    rounds: dict[float, list[list[Round]]] = {}
    # The schedule of each step has a rate of its own: this one only says that there is one.
    with Bench([mix], replace(run, rate=1.0)) as bench:
        bench.settle(0, str(run.seed))
        closed = _checked(bench.run_task(replace(bench.task(0, str(run.seed)), rate=None)))
        capacity = closed[-1].qps or closed[-1].done / closed[-1].seconds

        def holds(rate: float) -> bool:
            votes: list[bool] = []
            while votes.count(True) < 2 and votes.count(False) < 2:
                needed = 1.5 * answers_for(goal.percent) / rate
                seconds = min(max(run.seconds, needed), run.most_seconds or MOST_SECONDS)
                task = replace(bench.task(0, f"{run.seed} {len(steps)}", seconds=seconds), rate=rate)
                found = _checked(bench.run_task(task))
                value = found[-1].percentiles.get(f"{goal.percent:g}")
                votes.append(value is not None and value < goal.limit_ms)
                steps.append(SloStep(rate, value, found[-1].unsent or 0, votes[-1]))
                rounds.setdefault(rate, []).append(found)
                shown = "too few answers" if value is None else f"{value:,.3f} ms"
                say(f"{mix.name}: {rate:,.0f} queries a second: p{goal.percent:g} {shown}")
            return votes.count(True) == 2

        low, high = 0.0, capacity * ABOVE_CLOSED
        while high - low > RESOLUTION * high and high > LEAST_SHARE * capacity:
            rate = (low + high) / 2
            low, high = (rate, high) if holds(rate) else (low, rate)
    shown = low or min(rounds)
    row = rows_of(mix, None, rounds[shown])
    return SloSearch(mix.name, goal.text, goal.limit_ms, low or None, capacity, tuple(steps)), row


def _checked(rounds: list[Round]) -> list[Round]:
    if rounds[-1].errors:
        raise QueryFailed(
            f"{rounds[-1].errors:,} queries failed: {rounds[-1].first_error} Fix the query or the server."
        )
    return rounds
