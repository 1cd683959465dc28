"""Try indexes on benchmark queries: build each in a transaction that is always rolled back, and measure both sides.

Two sessions alternate: one sees the database as it is, the other the index that its own transaction has built and that
nobody else can see. What happens to this process cannot leave an index behind: a transaction without a client is
rolled back by the server. (PostgreSQL keeps the row counts in pg_class that CREATE INDEX refreshes on the way.)
"""

import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg

from bench.comparison import Spread, paired_ratio
from bench.errors import QueryFailed
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import PSYCOPG_TYPES, sentence
from bench.results import Sentence
from bench.tune.candidates import Candidate
from bench.tune.indexes import BuiltIndex, built, check, open_session, proposals, resolve, whole_tables
from bench.tune.plans import SAME_PLAN, Plan, change_in_words, read_plan
from loaders.connection import Address

PLANNED = "explain (verbose, format json) "
# The clock a node costs more than the node where rows are many; the total is measured without it, too.
EXECUTED = "explain (analyze, buffers, verbose, timing off, format json) "


@dataclass(frozen=True)
class Question:
    """A benchmark query with the one set of arguments by which it is tried."""

    benchmark: Benchmark
    arguments: Arguments

    @property
    def title(self) -> str:
        """The query's name and its arguments."""
        given = zip(self.benchmark.parameters, self.arguments, strict=True)
        shown = ", ".join(f"{parameter.name} = {value}" for parameter, value in given)
        return f"{self.benchmark.name} ({shown})" if shown else self.benchmark.name


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One query with and without one candidate: the ms of all runs, alternating, and the plans' pages and change.

    `ratio` is of the time with the candidate to that without, run by run. `noise` is the larger of both sides' spreads
    (largest less smallest), in units of the median without. The time changes beyond noise where the plan changes and
    the medians differ by more.
    """

    query: str
    arguments: tuple[int | str, ...]
    title: str
    candidate: str
    ms_before: tuple[float, ...]
    ms_after: tuple[float, ...]
    ratio: Spread
    noise: float
    pages_before: int
    pages_after: int
    index_bytes: int
    build_seconds: float
    is_used: bool
    is_beyond_noise: bool
    change: str


@dataclass(frozen=True)
class UnreadTable:
    """A candidate that needs no trial, since the query does not read its table."""

    query: str
    title: str
    candidate: str


@dataclass(frozen=True)
class Tuning:
    """All trials, the pairs that need none, and what they say in words."""

    seed: int
    trials: tuple[Trial, ...]
    not_read: tuple[UnreadTable, ...]
    sentences: tuple[Sentence, ...] = ()


def tune(
    benchmarks: Sequence[Benchmark],
    candidates: Sequence[Candidate],
    address: Address,
    *,
    rounds: int,
    seed: int,
    lock_seconds: float,
    proposing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Try every candidate on every query that reads its table; `proposing` adds what the plans suggest.

    CandidateError names what cannot be tried, QueryFailed the query that fails; either way nothing is left.
    """
    questions = [Question(one, one.draws(1, random.Random(seed))[0]) for one in benchmarks]  # noqa: S311 - not a secret
    with closing(open_session(address)) as plain, closing(open_session(address)) as trying:
        plain.execute("set default_transaction_read_only = on")
        plans = {question: explain(plain, question, PLANNED) for question in questions}
        reads = {question: whole_tables(plain, plan) for question, plan in plans.items()}
        tables = frozenset().union(*reads.values())
        chosen = dict.fromkeys(resolve(plain, one, tables) for one in candidates)
        if proposing:
            chosen |= dict.fromkeys(proposals(plain, plans.values()))
        for candidate in chosen:
            check(trying, candidate)
        trials: dict[Question, list[Trial]] = {question: [] for question in questions}
        not_read: list[UnreadTable] = []
        for candidate in chosen:
            reading = [one for one in questions if (candidate.schema, candidate.table) in reads[one]]
            unread = [one for one in questions if one not in reading]
            not_read += [UnreadTable(one.benchmark.name, one.title, candidate.name) for one in unread]
            if not reading:
                continue
            say(f"building {candidate.name}")
            with built(trying, candidate, lock_seconds) as index:
                for question in reading:
                    say(f"trying {candidate.name} on {question.title}")
                    before, after = _alternate(plain, trying, question, rounds)
                    trials[question].append(compare_plans(question, candidate, index, before, after))
    return Tuning(seed, tuple(trial for some in trials.values() for trial in some), tuple(not_read))


def compare_plans(
    question: Question, candidate: Candidate, index: BuiltIndex, before: Sequence[Plan], after: Sequence[Plan]
) -> Trial:
    """Return what the runs of both sides show."""
    sides = [plan.ms for plan in before], [plan.ms for plan in after]
    old, new = map(statistics.median, sides)
    noise = max(max(side) - min(side) for side in sides)
    change = change_in_words(before[-1], after[-1], index.names)
    return Trial(
        query=question.benchmark.name,
        arguments=question.arguments,
        title=question.title,
        candidate=candidate.name,
        ms_before=tuple(sides[0]),
        ms_after=tuple(sides[1]),
        ratio=paired_ratio(sides[1], sides[0]),
        noise=noise / old,
        pages_before=before[-1].pages,
        pages_after=after[-1].pages,
        index_bytes=index.size_bytes,
        build_seconds=index.build_seconds,
        is_used=bool(after[-1].indexes & index.names),
        is_beyond_noise=change != SAME_PLAN and abs(new - old) > noise,
        change=change,
    )


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
            f"{question.title} fails: {sentence(error)} Build what it reads with `dbt build`, or fix the analysis."
        ) from error
    assert row is not None  # noqa: S101 - EXPLAIN returns one row
    return read_plan(row[0])


def _alternate(
    plain: psycopg.Connection, trying: psycopg.Connection, question: Question, rounds: int
) -> tuple[list[Plan], list[Plan]]:
    """Run the query on both sessions, beginning with the other one each time, after a run that does not count."""
    plans: dict[psycopg.Connection, list[Plan]] = {plain: [], trying: []}
    for turn in range(rounds + 1):
        for session in (plain, trying) if turn % 2 else (trying, plain):
            plans[session].append(explain(session, question, EXECUTED))
    return plans[plain][1:], plans[trying][1:]
