"""Time many different queries by every way to ask them, in turns, and compare all that they return."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from rich.table import Table

from bench.errors import AnswersDiffer, QueryFailed
from bench.many.connection import Asker, Payload, QueryResult, Target
from bench.many.payloads import QUERIES_A_SCAN, different_payloads
from bench.many.run_queries import MODES, Mode, run_queries
from bench.queries.report import circumstances
from loaders.connection import Address, connect

GATHER = "max_parallel_workers_per_gather"
SEQUENTIAL, CONNECTION_EACH = "sequential, one connection", "sequential, a connection a query"

Way = Callable[[Target, Sequence[Payload]], list[QueryResult]]


@dataclass(frozen=True)
class ManyRow:
    """One way's seconds, a figure a round, for one kind of queries under one setting of parallel query."""

    kind: str
    gather: int
    parallel_plans: int
    way: str
    queries: int
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Queries a second in the median round."""
        return self.queries / statistics.median(self.seconds)


def ask_in_sequence(target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Ask one after the other on one connection."""
    asker = Asker(target)
    try:
        return [asker.ask(*numbered) for numbered in enumerate(payloads)]
    finally:
        asker.close()


def ask_by_connections(target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Ask one after the other, each on a connection of its own."""
    results = []
    for index, payload in enumerate(payloads):
        asker = Asker(target)
        results.append(asker.ask(index, payload))
        asker.close()
    return results


def ask_by_crew(mode: Mode, workers: int, target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Ask as run_queries does."""
    return run_queries(target.conninfo, payloads, workers=workers, mode=mode, progress=False)


def all_ways(workers: int) -> dict[str, Way]:
    """Return every way by its name; the first is what the others are compared with."""
    crews: dict[str, Way] = {f"{mode}, {workers} workers": partial(ask_by_crew, mode, workers) for mode in MODES}
    return {SEQUENTIAL: ask_in_sequence, CONNECTION_EACH: ask_by_connections, **crews}


def measure_many(
    address: Address, *, kinds: Sequence[str], count: int, workers: int, rounds: int, seed: int,
    gathers: Sequence[int], say: Callable[[str], None],
) -> list[ManyRow]:  # fmt: skip
    """Time every way once a round; QueryFailed if a query fails, AnswersDiffer if two ways get other rows."""
    rows: list[ManyRow] = []
    with connect(address) as connection:
        counts = {kind: -(-count // QUERIES_A_SCAN) if kind == "scans" else count for kind in kinds}
        asked = {kind: different_payloads(connection, kind, some, seed) for kind, some in counts.items()}
        shown = connection.execute(f"show {GATHER}".encode()).fetchone()
    as_set = int(shown[0]) if shown else 0
    for kind, payloads in asked.items():
        for gather in dict.fromkeys(gathers or (as_set, 0)):
            if not gathers and rows and (rows[-1].kind, rows[-1].parallel_plans) == (kind, 0):
                continue  # no plan had parallel workers: without them it is the same
            conninfo = psycopg.conninfo.make_conninfo(address.conninfo, options=f"-c {GATHER}={gather}")
            target = Target(conninfo, is_read_only=True)
            say(f"{kind}, {GATHER} = {gather}: warming up")
            expected = ask_in_sequence(target, payloads)
            _check(SEQUENTIAL, payloads, expected, expected)
            parallel = _parallel_plans(target, payloads)
            seconds: dict[str, list[float]] = {way: [] for way in all_ways(workers)}
            for turn in range(rounds):
                for name, way in all_ways(workers).items():
                    say(f"{kind}, {GATHER} = {gather}: round {turn + 1} of {rounds}: {name}")
                    began = time.perf_counter()
                    results = way(target, payloads)
                    seconds[name].append(time.perf_counter() - began)
                    _check(name, payloads, results, expected)
            rows += [
                ManyRow(kind, gather, parallel, way, len(payloads), tuple(spent)) for way, spent in seconds.items()
            ]
    return rows


def ratio(row: ManyRow, rows: Sequence[ManyRow]) -> float:
    """Return the rate in units of that of one connection, for the same queries and setting."""
    return row.rate / next(
        one.rate for one in rows if (one.kind, one.gather, one.way) == (row.kind, row.gather, SEQUENTIAL)
    )


def many_table(rows: Sequence[ManyRow]) -> Table:
    """Return a row a way."""
    table = Table(title=f"different queries, medians of {len(rows[0].seconds)} alternating rounds")
    for heading in ("queries", "parallel workers", "way"):
        table.add_column(heading)
    for heading in ("seconds", "queries/s", "ms a query", "ratio"):
        table.add_column(heading, justify="right")
    before = None
    for row in rows:
        if before not in (None, (row.kind, row.gather)):
            table.add_section()
        before = (row.kind, row.gather)
        table.add_row(
            f"{row.queries:,} {row.kind}",
            f"at most {row.gather}, in {row.parallel_plans:,} plans" if row.gather else "0",
            row.way,
            f"{statistics.median(row.seconds):.3f}",
            f"{row.rate:,.0f}",
            f"{1000 / row.rate:,.2f}",
            f"{ratio(row, rows):.2f}",
        )
    return table


def closing_lines(rows: Sequence[ManyRow]) -> list[str]:
    """Say what asking at once buys, and what parallel query has to do with it."""
    lines = []
    for kind, gather in dict.fromkeys((row.kind, row.gather) for row in rows):
        same = [row for row in rows if (row.kind, row.gather) == (kind, gather)]
        best = max(same, key=lambda row: row.rate)
        lines.append(f"{kind}, {GATHER} = {gather}: best is {best.way}, {ratio(best, rows):.2f} times one connection.")
    if any(row.parallel_plans for row in rows):
        lines.append(
            f"Where {GATHER} is above 0, plans with parallel workers use several cores even when asked one after the "
            "other; at 0, every query has one."
        )
    lines.append("All ways returned the same rows.")
    return lines


def many_figures(rows: Sequence[ManyRow], address: Address, workers: int, seed: int) -> dict[str, Any]:
    """Return the rows as JSON's types, the circumstances beside them."""
    return {
        **circumstances(address),
        "workers": workers,
        "seed": seed,
        "ways": [
            {
                "kind": row.kind,
                GATHER: row.gather,
                "parallel_plans": row.parallel_plans,
                "way": row.way,
                "queries": row.queries,
                "seconds": row.seconds,
                "queries_per_second": row.rate,
                "ratio": ratio(row, rows),
            }
            for row in rows
        ],
    }


def _check(
    way: str, payloads: Sequence[Payload], results: Sequence[QueryResult], expected: Sequence[QueryResult]
) -> None:
    """Compare every result with what one connection returned."""
    for payload, result, wanted in zip(payloads, results, expected, strict=True):
        if result.error is not None:
            raise QueryFailed(f"{way}: {payload} failed: {result.error} Run `dbt build`, then measure again.")
        if (result.index, result.columns, result.rows) != (wanted.index, wanted.columns, wanted.rows):
            raise AnswersDiffer(
                f"{way}: {payload} returned other rows than before. Measure while nothing loads or builds."
            )


def _parallel_plans(target: Target, payloads: Sequence[Payload]) -> int:
    """Count the queries whose plan has parallel workers."""
    explained = ask_in_sequence(target, [(f"explain {text}", parameters) for text, parameters in payloads])
    return sum(any("Gather" in line for (line,) in result.rows) for result in explained)
