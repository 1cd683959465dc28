"""Check, before anything is timed, that all layers give the same answer to the same question."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import click
import uvloop

from bench.errors import AnswersDiffer, ProjectError
from bench.queries.benchmarks import Arguments, Benchmark, choose, compile_benchmarks
from bench.queries.run import Run
from bench.queries.session import Session
from bench.queries.worker import fetch, open_sessions
from loaders.connection import connect

Answer = list[tuple[Any, ...]]
SHOWN_CHARACTERS = 300


def checked_benchmarks(names: Sequence[str], run: Run) -> list[Benchmark]:
    """Compile the project here, choose benchmarks by name, and check that all layers of their questions agree."""
    connect(run.address).close()  # a server that is down is told in one line, before dbt starts
    known = compile_benchmarks(Path.cwd(), run.address)
    chosen = choose(known, names)
    questions = {one.question for one in chosen}
    compared = uvloop.run(check_answers([one for one in known if one.question in questions], run))
    click.echo(f"answers compared between layers: {compared}, all equal", err=True)
    if run.driver == "duckdb":
        compared = uvloop.run(check_engines(chosen, run))
        click.echo(f"answers compared between PostgreSQL and DuckDB: {compared}, all equal", err=True)
    return chosen


async def check_engines(benchmarks: Sequence[Benchmark], run: Run) -> int:
    """Compare PostgreSQL's answers with those of the file that `run` asks; return how many were compared."""
    from bench.queries.duckdb_driver import in_duckdb

    compared = 0
    for benchmark in benchmarks:
        expected = await _answers(benchmark, _some_arguments(benchmark, run), replace(run, driver="asyncpg"))
        found = await _answers(in_duckdb(benchmark, run.address), list(expected), replace(run, most_seconds=None))
        for arguments, answer in found.items():
            if difference := first_difference(expected[arguments], answer):
                number, (left, right) = difference
                raise AnswersDiffer(
                    f"{_given(benchmark, arguments)}{benchmark.name} answers {_shown(left)} in PostgreSQL and "
                    f"{_shown(right)} in DuckDB, in row {number}. Load, then run `dbt build` and `dbt build --target "
                    "duckdb`, so that both have seen the same files."
                )
        compared += len(expected)
    return compared


async def check_answers(benchmarks: Sequence[Benchmark], run: Run) -> int:
    """Compare the layers of each question, all rows and columns; return how many answers were compared.

    Every set of arguments is compared, or a sample of about a thousand where there are more, or as many as the first
    layer answers in the run's `most_seconds`. `benchmarks` are sorted by question. AnswersDiffer names the query, the
    arguments and the first rows that differ.
    """
    compared = 0
    for _, layers in groupby(benchmarks, key=lambda one: one.question):
        first, *others = layers
        if not others:
            continue
        # Whatever is measured: asyncpg runs queries in parallel on one event loop.
        asking = replace(run, driver="asyncpg")
        expected = await _answers(first, _some_arguments(first, run), asking)
        for other in others:
            if other.parameters != first.parameters:
                raise ProjectError(f"{other.name} and {first.name} differ in their parameters: declare the same ones.")
            found = await _answers(other, list(expected), replace(asking, most_seconds=None))
            for arguments, answer in found.items():
                if difference := first_difference(expected[arguments], answer):
                    number, rows = difference
                    raise AnswersDiffer(
                        f"{_given(first, arguments)}{first.name} answers {_shown(rows[0])} and {other.name} answers "
                        f"{_shown(rows[1])} in row {number}. "
                        "Run `dbt build`, so that every layer has seen the same loads; "
                        "if they still differ, make the analyses select the same thing, in the same order and types."
                    )
            compared += len(expected)
    return compared


def first_difference(left: Answer, right: Answer) -> tuple[int, tuple[Any, Any]] | None:
    """Return the number (from 1) of the first rows that differ and both rows (None: there is none), or None."""
    for number, rows in enumerate(zip_longest(left, right), start=1):
        if None in rows or _comparable(rows[0]) != _comparable(rows[1]):
            return number, rows
    return None


def _comparable(row: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """Return values with their types: 1 is not '1', but 0.5 is 0.50 whether a float or a numeric, and NaN is NaN."""
    return [
        ("number" if isinstance(value, float | Decimal) else type(value).__name__, value if value == value else "NaN")
        for value in row
    ]


def _some_arguments(benchmark: Benchmark, run: Run) -> list[Arguments]:
    """Return the sets of arguments in the order in which they are asked: low, middle and high, then at random."""
    others = benchmark.every_argument(run.seed)
    random.Random(run.seed).shuffle(others)  # noqa: S311 - not a secret
    return list(dict.fromkeys([*benchmark.levels(), *others]))


async def _answers(benchmark: Benchmark, asked: Sequence[Arguments], run: Run) -> dict[Arguments, Answer]:
    """Return the answers, fetched in parallel over the run's connections, until its `most_seconds` are over."""
    answers: dict[Arguments, Answer] = {}
    until = math.inf if run.most_seconds is None else time.monotonic() + run.most_seconds

    async def fetch_some(session: Session, some: Sequence[Arguments]) -> None:
        for arguments in some:
            answers[arguments] = await fetch(session, benchmark, arguments)
            if time.monotonic() > until:
                break

    async with open_sessions([benchmark], run, min(run.connections, len(asked))) as sessions:
        await asyncio.gather(*(fetch_some(one, asked[at :: len(sessions)]) for at, one in enumerate(sessions)))
    return answers


def _given(benchmark: Benchmark, arguments: Arguments) -> str:
    given = ", ".join(f"{p.name} = {value}" for p, value in zip(benchmark.parameters, arguments, strict=True))
    return f"With {given}, " if given else ""


def _shown(row: tuple[Any, ...] | None) -> str:
    if row is None:
        return "no row"
    shown = str(row[0]) if len(row) == 1 else str(row)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}..."
