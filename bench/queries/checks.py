"""A measurement's steps that `queries` and `demo` share: compile, choose, check, and refuse what failed."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.errors import QueryFailed, UnknownQuery
from bench.queries.answers import check_answers
from bench.queries.benchmarks import Benchmark, choose, compile_benchmarks
from bench.queries.measure import Row
from bench.queries.worker import Run, run_async
from loaders.connection import connect


def checked_benchmarks(names: Sequence[str], run: Run) -> list[Benchmark]:
    """Compile the project here, choose benchmarks by name, and check that all layers of their questions agree."""
    connect(run.address).close()  # a server that is down is told in one line, before dbt starts
    known = compile_benchmarks(Path.cwd(), run.address)
    chosen = choose(known, names)
    asked = {one.question for one in chosen}
    compared = run_async(check_answers([one for one in known if one.question in asked], run))
    click.echo(f"answers compared between layers: {compared}, all equal", err=True)
    return chosen


def read_mix(text: str) -> dict[str, int]:
    """Read NAME=WEIGHT,NAME=WEIGHT ...; UnknownQuery if it cannot be read."""
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, _, weight = (word.strip() for word in part.partition("="))
        if not name or name in weights or not weight.isdecimal() or int(weight) < 1:
            raise UnknownQuery(
                f"{part.strip()!r} in the mix cannot be read: write each query once as NAME=WEIGHT, "
                "with a whole number from 1, and commas between."
            )
        weights[name] = int(weight)
    return weights


def refuse_errors(rows: Sequence[Row]) -> None:
    """Raise QueryFailed if any measured query failed, with the first failure's words."""
    failed = [row for row in rows if row.summary.errors]
    if failed:
        total = sum(row.summary.errors for row in failed)
        raise QueryFailed(
            f"{total:,} queries failed, first in {failed[0].benchmark.name}: {failed[0].summary.first_error} "
            "The rates count answered queries only; look into the server's log."
        )
