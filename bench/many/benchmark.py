"""The command `many`: time different queries one by one and in parallel, and compare all that they return."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import psycopg

from bench.comparison import Comparison, Comparisons, Run, Variant, measure_comparison
from bench.environment import read_circumstances
from bench.errors import AnswersDiffer, QueryFailed
from bench.many.connection import Connection, Payload, QueryResult, Target
from bench.many.delaying_proxy import delaying_proxy
from bench.many.payloads import FEWER, KINDS, common_words, different_payloads
from bench.many.run_queries import MODES, Mode, run_queries
from bench.results import json_option, keep, rounds_option, say, seed_option
from bench.tables import print_comparisons
from loaders.connection import Address, connect

GATHER = "max_parallel_workers_per_gather"
SEQUENTIAL = "one connection"
READ = [("core", "people")]
SAME_ROWS = "All variants returned the same rows."
Method = Callable[[Target, Sequence[Payload]], list[QueryResult]]


@dataclass(frozen=True)
class Job:
    """Queries of one kind under one setting of parallel query, and what one connection got for them."""

    kind: str
    gather: int
    target: Target
    payloads: Sequence[Payload]
    expected: Sequence[QueryResult]
    parallel_plans: int

    @property
    def name(self) -> str:
        """The kind and the setting."""
        return f"{self.kind}, {GATHER} = {self.gather}"

    @property
    def title(self) -> str:
        """What is run, in words."""
        parallel = "no parallel workers"
        if self.gather:
            parallel = f"at most {self.gather} parallel workers, in {self.parallel_plans:,} plans"
        applied = ", a function applied to each result" if self.target.function else ""
        return f"{len(self.payloads):,} different queries ({self.kind}{applied}), {parallel}"

    def measure(self, title: str, method: Method, _: int) -> Run:
        """Time a method; QueryFailed if a query fails, AnswersDiffer if one gets other rows than before."""
        began = time.perf_counter()
        results = method(self.target, self.payloads)
        seconds = time.perf_counter() - began
        check_results(title, self.payloads, results, self.expected)
        return Run(seconds=seconds)


def one_connection(target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Run one query after the other on one connection."""
    with closing(Connection(target)) as connection:
        return [connection.run(*numbered) for numbered in enumerate(payloads)]


def connection_each(target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Run one query after the other, each on a connection of its own."""
    results = []
    for index, payload in enumerate(payloads):
        with closing(Connection(target)) as connection:
            results.append(connection.run(index, payload))
    return results


def in_parallel(mode: Mode, workers: int, target: Target, payloads: Sequence[Payload]) -> list[QueryResult]:
    """Run the queries as run_queries does."""
    return run_queries(target.conninfo, payloads, workers=workers, mode=mode, function=target.function, progress=False)


def measure_many(
    address: Address, *, kinds: Sequence[str], count: int, workers: int, rounds: int, seed: int,
    gathers: Sequence[int], say: Callable[[str], None], note: str = "",
) -> list[Comparison]:  # fmt: skip
    """Compare all methods for each kind and setting of parallel query (none: the server's, then 0 if plans differ)."""
    methods: dict[str, Method] = {SEQUENTIAL: one_connection, "a connection a query": connection_each}
    for mode in MODES:
        methods[f"run_queries, {workers} {mode}"] = partial(in_parallel, mode, workers)
    comparisons = []
    for job in _jobs(address, kinds, count, seed, gathers, say):
        variants = [
            Variant(
                name=title, title=title, count=len(job.payloads), measure=partial(job.measure, title, method),
                origin="reference" if method in (one_connection, connection_each) else "ours",
            )
            for title, method in methods.items()
        ]  # fmt: skip
        remarks = [SAME_ROWS]
        if job.parallel_plans:
            remarks.insert(
                0, f"{job.parallel_plans:,} plans have parallel workers, which use several cores even one by one."
            )
        comparisons.append(
            measure_comparison(
                job.name + note, job.title + note, "queries", variants, rounds, say, ratio_of="rate", remarks=remarks
            )
        )
    return comparisons


def check_results(
    title: str, payloads: Sequence[Payload], results: Sequence[QueryResult], expected: Sequence[QueryResult]
) -> None:
    """Compare every result with what one connection returned."""
    for payload, result, wanted in zip(payloads, results, expected, strict=True):
        if result.error is not None:
            raise QueryFailed(f"{title}: {payload} failed: {result.error} Run `dbt build`, then measure again.")
        if (result.index, result.columns, result.rows, result.value) != (
            wanted.index, wanted.columns, wanted.rows, wanted.value,
        ):  # fmt: skip
            raise AnswersDiffer(
                f"{title}: {payload} returned other rows than before. Measure while nothing loads or builds."
            )


def _jobs(
    address: Address, kinds: Sequence[str], count: int, seed: int, gathers: Sequence[int], say: Callable[[str], None]
) -> Iterator[Job]:
    """Draw the queries of each kind, and run them once to warm up."""
    with connect(address) as connection:
        counts = {kind: -(-count // FEWER.get(kind, 1)) for kind in kinds}
        drawn = {kind: different_payloads(connection, kind, some, seed) for kind, some in counts.items()}
        [as_set] = connection.execute(f"show {GATHER}".encode()).fetchone() or ("0",)
    for kind, payloads in drawn.items():
        for gather in dict.fromkeys(gathers or (int(as_set), 0)):
            conninfo = psycopg.conninfo.make_conninfo(address.conninfo, options=f"-c {GATHER}={gather}")
            target = Target(conninfo, True, common_words if kind == "function" else None)
            say(f"{kind}, {GATHER} = {gather}: warming up")
            expected = one_connection(target, payloads)
            check_results(SEQUENTIAL, payloads, expected, expected)
            parallel = _parallel_plans(target, payloads)
            yield Job(kind, gather, target, payloads, expected, parallel)
            if not gathers and not parallel:
                break  # without parallel workers it is the same


def _parallel_plans(target: Target, payloads: Sequence[Payload]) -> int:
    """Count the queries whose plan has parallel workers."""
    plain = Target(target.conninfo, target.is_read_only)
    explained = one_connection(plain, [(f"explain {text}", parameters) for text, parameters in payloads])
    return sum(any("Gather" in line for (line,) in result.rows) for result in explained)


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--count", type=click.IntRange(min=1), default=2000, show_default=True, help="Number of queries.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=2 * (os.cpu_count() or 1), show_default="2 a core",
    help="Threads or processes, with a connection each.",
)  # fmt: skip
@rounds_option
@seed_option
@click.option(
    "--parallel", "gathers", type=click.IntRange(min=0), multiple=True, metavar="N",
    help="Value of max_parallel_workers_per_gather; may be repeated.  "
    "[default: the server's, then 0 if plans have parallel workers]",
)  # fmt: skip
@click.option(
    "--delay-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS",
    help="Ask through a proxy by which every answer takes so much longer, as over a network.",
)  # fmt: skip
@json_option
def many(
    kinds: tuple[str, ...], count: int, workers: int, rounds: int, seed: int, gathers: tuple[int, ...],
    delay_ms: float | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Compare run_queries, with threads and with processes, with one connection.

    The queries are different SELECTs of four kinds: bound (milliseconds of work for the database), scans (of a whole
    table; a twentieth of the count), lookups (the client is the limit) and function (Python works on each result; a
    tenth of the count). All variants must return the same rows.

    Example: python -m bench many bound function --count 2000 --workers 4 --parallel 0
    """
    address = Address.from_environment()
    with ExitStack() as stack:
        asked = address
        if delay_ms is not None:
            port = stack.enter_context(delaying_proxy(address.host, address.port, delay_ms))
            asked = replace(address, host="127.0.0.1", port=port)
        comparisons = measure_many(
            asked, kinds=kinds or KINDS, count=count, workers=workers, rounds=rounds, seed=seed, gathers=gathers,
            say=say, note="" if delay_ms is None else f", {delay_ms:g} ms of network delay",
        )  # fmt: skip
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons), seed=seed, workers=workers)
    keep("many", figures, read_circumstances(address, tables=READ), json_path)
