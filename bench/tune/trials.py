"""Try indexes on benchmark queries: build each in a transaction that is always rolled back, and measure both sides.

Two sessions take turns: one sees the database as it is, the other the index that its own transaction has built and that
nobody else can see. What happens to this process cannot leave an index behind: a transaction without a client is
rolled back by the server. (PostgreSQL keeps the row counts in pg_class that CREATE INDEX refreshes on the way.)
"""

import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.errors import QueryFailed
from bench.queries.benchmarks import Benchmark
from bench.queries.drivers import PSYCOPG_TYPES, sentence
from bench.tune.builds import BuiltIndex, built, check, imagined, open_session, require_hypopg
from bench.tune.candidates import Candidate
from bench.tune.catalog import proposals, resolve, whole_tables
from bench.tune.plans import SAME_PLAN, Plan, change_in_words, read_plan
from loaders.connection import Address

PLANNED = "explain (verbose, format json) "
# The clock a node costs more than the node where rows are many; the total is measured without it, too.
EXECUTED = "explain (analyze, buffers, verbose, timing off, format json) "


@dataclass(frozen=True)
class Question:
    """A benchmark query with the one set of arguments by which it is tried."""

    benchmark: Benchmark
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The query's name and its arguments."""
        given = zip(self.benchmark.parameters, self.arguments, strict=True)
        shown = ", ".join(f"{parameter.name} = {value}" for parameter, value in given)
        return f"{self.benchmark.name} ({shown})" if shown else self.benchmark.name


@dataclass(frozen=True)
class Trial:
    """One query with and without one candidate: the plans of all runs, in turns."""

    question: Question
    candidate: Candidate
    index: BuiltIndex
    before: tuple[Plan, ...]
    after: tuple[Plan, ...]

    @property
    def is_hypothetical(self) -> bool:
        """Whether only plans were compared."""
        return self.index.build_seconds is None

    @property
    def before_value(self) -> float:
        """The median in ms without the candidate, or the planner's cost where the index is hypothetical."""
        return statistics.median(map(_value, self.before))

    @property
    def after_value(self) -> float:
        """The same with the candidate."""
        return statistics.median(map(_value, self.after))

    @property
    def ratio(self) -> float | None:
        """The time with the candidate in units of that without."""
        return self.after_value / self.before_value if self.before_value else None

    @property
    def noise(self) -> float:
        """The larger of both sides' spreads (largest less smallest), in units of `before_value`."""
        spreads = [max(values) - min(values) for values in ([*map(_value, self.before)], [*map(_value, self.after)])]
        return max(spreads) / self.before_value if self.before_value else 0.0

    @property
    def is_used(self) -> bool:
        """Whether the plan reads the candidate."""
        return bool(self.after[-1].indexes & self.index.names)

    @property
    def change(self) -> str:
        """The plan's change in words."""
        return change_in_words(self.before[-1], self.after[-1], self.index.names)

    @property
    def changes_time(self) -> bool:
        """Whether the plan changed and the medians differ by more than the noise."""
        moved = abs(self.after_value - self.before_value)
        return self.change != SAME_PLAN and moved > self.noise * self.before_value


@dataclass(frozen=True)
class Tuning:
    """All trials, and the pairs that need none, since the query does not read the candidate's table."""

    trials: tuple[Trial, ...]
    apart: tuple[tuple[Question, Candidate], ...]


def tune(
    benchmarks: Sequence[Benchmark],
    candidates: Sequence[Candidate],
    address: Address,
    *,
    runs: int,
    seed: int,
    lock_seconds: float,
    proposing: bool = False,
    hypothetical: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Try every candidate on every query that reads its table; `proposing` adds what the plans suggest.

    CandidateError names what cannot be tried, QueryFailed the query that fails; either way nothing is left.
    """
    questions = [Question(one, one.draws(1, random.Random(seed))[0]) for one in benchmarks]  # noqa: S311 - not a secret
    with closing(open_session(address)) as plain, closing(open_session(address)) as trying:
        plain.execute("set default_transaction_read_only = on")
        if hypothetical:
            require_hypopg(trying)
        plans = {question: explain(plain, question, PLANNED) for question in questions}
        reads = {question: whole_tables(plain, plan) for question, plan in plans.items()}
        tables = frozenset().union(*reads.values())
        chosen = dict.fromkeys(resolve(plain, one, tables) for one in candidates)
        if proposing:
            chosen |= dict.fromkeys(proposals(plain, plans.values()))
        for candidate in chosen:
            check(trying, candidate)
        trials: list[Trial] = []
        apart: list[tuple[Question, Candidate]] = []
        for candidate in chosen:
            reading = [one for one in questions if (candidate.schema, candidate.table) in reads[one]]
            apart += [(one, candidate) for one in questions if one not in reading]
            if not reading:
                continue
            say(f"building {candidate.name}")
            build = imagined(trying, candidate) if hypothetical else built(trying, candidate, lock_seconds)
            with build as index:
                for question in reading:
                    say(f"trying {candidate.name} on {question.name}")
                    pairs = _take_turns(plain, trying, question, 1 if hypothetical else runs, hypothetical)
                    trials.append(Trial(question, candidate, index, *pairs))
    order = {question: at for at, question in enumerate(questions)}
    return Tuning(tuple(sorted(trials, key=lambda trial: order[trial.question])), tuple(apart))


def explain(connection: psycopg.Connection, question: Question, how: str) -> Plan:
    """Return the query's plan; QueryFailed names the query and carries the server's words."""
    benchmark = question.benchmark
    values = [
        PSYCOPG_TYPES[parameter.type](value)
        for parameter, value in zip(benchmark.parameters, question.arguments, strict=True)
    ]
    try:
        with psycopg.RawCursor(connection) as cursor:
            row = cursor.execute((how + benchmark.sql).encode(), values, prepare=False).fetchone()
    except psycopg.Error as error:
        raise QueryFailed(
            f"{question.name} fails: {sentence(error)} Build what it reads with `dbt build`, or mend the analysis."
        ) from error
    assert row is not None  # noqa: S101 - EXPLAIN returns one row
    return read_plan(row[0])


def _take_turns(
    plain: psycopg.Connection, trying: psycopg.Connection, question: Question, runs: int, hypothetical: bool
) -> tuple[tuple[Plan, ...], tuple[Plan, ...]]:
    """Explain on both sessions in turns, beginning with another one each time, after a run that does not count."""
    how = PLANNED if hypothetical else EXECUTED
    plans: dict[psycopg.Connection, list[Plan]] = {plain: [], trying: []}
    for turn in range(runs + 1):
        for session in (plain, trying) if turn % 2 else (trying, plain):
            plans[session].append(explain(session, question, how))
    return tuple(plans[plain][1:]), tuple(plans[trying][1:])


def _value(plan: Plan) -> float:
    return plan.cost if plan.ms is None else plan.ms
