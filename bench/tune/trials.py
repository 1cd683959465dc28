"""Try indexes on benchmark queries: build each in a transaction that is always rolled back, and measure both sides.

Two sessions alternate: one sees the database as it is, the other the index that its own transaction has built and that
nobody else can see. What happens to this process cannot leave an index behind: a transaction without a client is
rolled back by the server. (PostgreSQL keeps the row counts in pg_class that CREATE INDEX refreshes on the way.)
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.comparison import Spread, paired_ratio
from bench.errors import QueryFailed
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import PSYCOPG_TYPES, sentence
from bench.results import Sentence
from bench.tune.candidates import Candidate
from bench.tune.decision import Verdict, decide
from bench.tune.indexes import BuiltIndex, built, check, open_session, proposals, reading, resolve, whole_tables
from bench.tune.plans import SAME_PLAN, Plan, change_in_words, read_plan
from loaders.connection import Address

PLANNED = "explain (verbose, format json) "
# The clock a node costs more than the node where rows are many; the total is measured without it, too.
EXECUTED = "explain (analyze, buffers, verbose, timing off, format json) "
WRITTEN = "explain (analyze, buffers, verbose, timing off, format text) "


@dataclass(frozen=True)
class Question:
    """A benchmark query with one set of arguments by which it is tried."""

    benchmark: Benchmark
    arguments: Arguments

    @property
    def title(self) -> str:
        """The query's name and its arguments."""
        given = zip(self.benchmark.parameters, self.arguments, strict=True)
        shown = ", ".join(f"{parameter.name} = {value}" for parameter, value in given)
        return f"{self.benchmark.name} ({shown})" if shown else self.benchmark.name


@dataclass(frozen=True)
class WrittenPlan:
    """A plan as EXPLAIN (ANALYZE, BUFFERS) writes it, whole: its lines of text, and its JSON as one line."""

    text: tuple[str, ...]
    json: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One query with and without one candidate: the ms of all runs, alternating, both plans, their pages and change.

    `ratio` is of the time with the candidate to that without, run by run. Pairs are run until they decide; where the
    plan stays, one is enough, and `plan_after` is None.
    """

    query: str
    arguments: tuple[int | str, ...]
    title: str
    candidate: str
    ms_before: tuple[float, ...]
    ms_after: tuple[float, ...]
    ratio: Spread
    verdict: Verdict
    pages_before: int
    pages_after: int
    index_bytes: int
    build_seconds: float
    is_used: bool
    change: str
    plan_before: WrittenPlan
    plan_after: WrittenPlan | None

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the candidate changes the time."""
        return self.verdict in (Verdict.FASTER, Verdict.SLOWER)


@dataclass(frozen=True)
class UnreadTable:
    """A candidate that needs no trial, since the query does not read its table."""

    query: str
    title: str
    candidate: str


@dataclass(frozen=True)
class Tuning:
    """All trials, the pairs that need none, and what they say in words; `together` is said of the candidates."""

    together: bool
    trials: tuple[Trial, ...]
    not_read: tuple[UnreadTable, ...]
    sentences: tuple[Sentence, ...] = ()


def tune(
    benchmarks: Sequence[Benchmark],
    candidates: Sequence[Candidate],
    address: Address,
    *,
    rounds: int,
    most_rounds: int,
    lock_seconds: float,
    together: bool = False,
    proposing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Try every candidate on every query that reads its table, with low, middle and high arguments.

    Pairs are run `rounds` at first, and twice as many again until they decide, `most_rounds` at most. `together` keeps
    each candidate for the trials of the next ones; `proposing` adds what the plans suggest. CandidateError names what
    cannot be tried, QueryFailed the query that fails; either way nothing is left.
    """
    questions = [Question(one, arguments) for one in benchmarks for arguments in one.levels()]
    with closing(open_session(address)) as plain, closing(open_session(address)) as trying, ExitStack() as kept:
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
        indexes: list[BuiltIndex] = []
        for number, candidate in enumerate(chosen):
            reading_it = [one for one in questions if (candidate.schema, candidate.table) in reads[one]]
            unread = [one for one in questions if one not in reading_it]
            not_read += [UnreadTable(one.benchmark.name, one.title, candidate.name) for one in unread]
            if not reading_it:
                continue
            say(f"building {candidate.name}")
            with ExitStack() as own:
                stack = kept if together else own
                before = indexes if together else []
                indexes = [*before, stack.enter_context(built(trying, candidate, lock_seconds, number))]
                name = f"+ {candidate.name}" if before else candidate.name
                for question in reading_it:
                    say(f"trying {name} on {question.title}")
                    with reading(trying):
                        trials[question].append(_trial(plain, trying, question, name, indexes, rounds, most_rounds))
    return Tuning(together, tuple(trial for some in trials.values() for trial in some), tuple(not_read))


def _trial(
    plain: psycopg.Connection, trying: psycopg.Connection, question: Question, candidate: str,
    indexes: Sequence[BuiltIndex], rounds: int, most_rounds: int,
) -> Trial:  # fmt: skip
    """Run pairs until they decide."""
    before: list[Plan] = []
    after: list[Plan] = []
    names = frozenset[str]().union(*(one.names for one in indexes))
    wanted, verdict = 1, Verdict.UNDECIDED
    pairs = _pairs(plain, trying, question)
    while True:
        while len(before) < wanted:
            without, with_it = next(pairs)
            before.append(without)
            after.append(with_it)
        ratios = [new.ms / old.ms for old, new in zip(before, after, strict=True)]
        if wanted == 1 and change_in_words(before[0], after[0], names) == SAME_PLAN:
            verdict = Verdict.SAME_PLAN
        else:
            verdict = decide(ratios) if wanted >= rounds else Verdict.UNDECIDED
        if verdict is not Verdict.UNDECIDED or wanted >= most_rounds:
            break
        wanted = min(rounds if wanted < rounds else 2 * wanted, most_rounds)
    both = (before[-1],) if verdict is Verdict.SAME_PLAN else (before[-1], after[-1])
    written = [
        WrittenPlan(tuple(_written(session, question)), json.dumps(plan.whole))
        for session, plan in zip((plain, trying), both, strict=False)
    ]
    return compare_plans(question, candidate, indexes, before, after, verdict, written)


def compare_plans(
    question: Question, candidate: str, indexes: Sequence[BuiltIndex], before: Sequence[Plan], after: Sequence[Plan],
    verdict: Verdict, written: Sequence[WrittenPlan],
) -> Trial:  # fmt: skip
    """Return what the runs of both sides show; `written` has the plan before, and the one after where it differs."""
    old, new = [plan.ms for plan in before], [plan.ms for plan in after]
    names = frozenset[str]().union(*(one.names for one in indexes))
    return Trial(
        query=question.benchmark.name,
        arguments=question.arguments,
        title=question.title,
        candidate=candidate,
        ms_before=tuple(old),
        ms_after=tuple(new),
        ratio=paired_ratio(new, old),
        verdict=verdict,
        pages_before=before[-1].pages,
        pages_after=after[-1].pages,
        index_bytes=sum(one.size_bytes for one in indexes),
        build_seconds=indexes[-1].build_seconds,
        is_used=bool(after[-1].indexes & names),
        change=change_in_words(before[-1], after[-1], names),
        plan_before=written[0],
        plan_after=written[1] if len(written) > 1 else None,
    )


def explain(connection: psycopg.Connection, question: Question, how: str) -> Plan:
    """Return the query's plan; QueryFailed names the query and carries the server's words."""
    return read_plan(_explained(connection, question, how)[0][0])


def _written(connection: psycopg.Connection, question: Question) -> list[str]:
    return [line for (line,) in _explained(connection, question, WRITTEN)]


def _explained(connection: psycopg.Connection, question: Question, how: str) -> list[tuple[Any, ...]]:
    benchmark = question.benchmark
    values = [
        PSYCOPG_TYPES[parameter.type](value)
        for parameter, value in zip(benchmark.parameters, question.arguments, strict=True)
    ]
    try:
        with psycopg.RawCursor(connection) as cursor:
            return cursor.execute((how + benchmark.sql).encode(), values, prepare=False).fetchall()
    except psycopg.Error as error:
        raise QueryFailed(
            f"{question.title} fails: {sentence(error)} Build what it reads with `dbt build`, or fix the analysis."
        ) from error


def _pairs(plain: psycopg.Connection, trying: psycopg.Connection, question: Question) -> Iterator[tuple[Plan, Plan]]:
    """Run the query on both sessions, beginning with the other one each time, after a run that does not count."""
    turn = 0
    while True:
        found = {session: explain(session, question, EXECUTED)
                 for session in ((plain, trying) if turn % 2 else (trying, plain))}  # fmt: skip
        if turn:
            yield found[plain], found[trying]
        turn += 1
