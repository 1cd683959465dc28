"""Everything in one command: server, bronze, load, build, measure; what `make demo` calls."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from bench.compare.cases import measure_loading
from bench.comparison import Comparison, Comparisons, Timing
from bench.environment import dbt_program, read_circumstances
from bench.errors import StepFailed
from bench.generate.people import generate_people
from bench.queries.answers import checked_benchmarks
from bench.queries.benchmarks import Benchmark, read_circumstances_of
from bench.queries.measure import check_errors, measure
from bench.queries.report import figures, rows_table
from bench.queries.run import Run
from bench.results import FOLDER as RESULTS
from bench.results import PAGE, keep
from bench.tables import console, print_comparisons
from loaders.connection import Address
from loaders.server import LocalServer

BRONZE = Path("data/bronze")
SOURCE = "people.persons"
# The loader compared with psql; `python -m bench load` compares it with other tools too.
LOADING_VARIANTS = ("psql", "loader-2")
LOADING_ROUNDS = 3
QUERIES = ("people_older_than_staging", "people_older_than_core", "people_older_than_mart")
# Of layers that scan, a row of more queries would end by its time, as that of 100 does. A key lookup answers a thousand
# in milliseconds: only more of them show its rate.
COUNTS = (10, 100)
MART_COUNTS = (*COUNTS, 1000, 100_000)
SECONDS_A_ROW = 2
# Every layer is asked the same, before it is timed; staging scans all rows for each answer.
CHECK_SECONDS = 2
CONNECTIONS = 8
SWEEP = (1, 2, 4, 8, 16)
# A rate needs half a second.
SWEEP_SECONDS = 0.6
SEED = 1


@dataclass
class Steps:
    """The demo's steps so far: the seconds of each by its heading."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a heading, run the body, print its seconds."""
        click.echo(f"\n== {len(self.seconds) + 1}. {title}")
        began = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began
        click.echo(f"-- {self.seconds[title]:.1f} s")

    def figures(self, rows: int) -> Comparisons:
        """Return the steps as figures."""
        timings = tuple(
            Timing(variant=title, title=title, origin="ours", count=0, seconds=(seconds,))
            for title, seconds in self.seconds.items()
        )
        steps = Comparison(
            name="steps", title=f"The demo's steps with {rows:,} persons", unit="steps", base="", ratio_of="time",
            timings=timings, sentences=(f"Ingot's own work: {sum(self.seconds.values()):.1f} s",),
        )  # fmt: skip
        return Comparisons(rounds=1, comparisons=(steps,))


def run_demo(rows: int, *, yes: bool = False) -> None:
    """Run every step; StepFailed carries the exit code of the first that fails.

    A server that is not the local one is asked about first, unless `yes`.
    """
    address, steps = Address.from_environment(), Steps()
    if not (address.is_local or yes):
        _confirm(address)
    with steps.step("Server"):
        here = LocalServer(Path(".pgdata"), address).up() if address.is_local else f"using {address.url}"
        click.echo(here)
    with steps.step(f"Generate {rows:,} people"):
        click.echo(generate_people(BRONZE / "people", rows=rows, seed=SEED))
    # From scratch each time: the figures are then of the same work, and other --rows leave nothing of the last ones.
    with steps.step("Load: bronze files to the staging schema"):
        _run("load", [sys.executable, "-m", "loaders", "load", SOURCE, "--full-refresh"], address)
    with steps.step("Build: staging to core to marts"):
        _run("build", [dbt_program(), "build", "--full-refresh", "--select", "source:people+"], address)
    with steps.step("Measure: persons older than X, by every layer"):
        mart = _measure(address)
    with steps.step(f"Measure: more connections, {SWEEP[0]} to {SWEEP[-1]}"):
        _sweep(mart, address)
    if address.is_local:  # elsewhere, the right to create a database is not to be expected
        with steps.step("Measure: loading, compared with psql"):
            _compare_loading(address, rows)
    taken = steps.figures(rows)
    click.echo("\n" + "\n".join(taken.comparisons[0].sentences))
    keep("demo", taken, read_circumstances(address))
    from bench.page.document import write_page  # its drawing library takes a second to import

    click.echo(f"The page of results: {write_page(RESULTS, PAGE)}")
    click.echo(_farewell(address))


def _confirm(address: Address) -> None:
    """Ask whether to go on; StepFailed where nobody can answer."""
    what = f"The demo replaces the rows of {SOURCE}, core.people and its marts on {address.url}"
    if not sys.stdin.isatty():
        raise StepFailed(f"{what}. Pass --yes to allow it, or unset PGHOST for the local server.", 1)
    click.confirm(f"{what}. Go on?", abort=True)


def _measure(address: Address) -> Benchmark:
    """Measure the question's queries, and return the mart's."""
    run = Run(
        address=address, driver="asyncpg", connections=CONNECTIONS, seconds=SECONDS_A_ROW, seed=SEED,
        most_seconds=CHECK_SECONDS,
    )  # fmt: skip
    rows, benchmarks = [], checked_benchmarks(QUERIES, run)
    for benchmark in benchmarks:
        rows += measure(benchmark, MART_COUNTS if benchmark.layer == "mart" else COUNTS, run)
    console().print(rows_table(rows, run))
    measured = figures(rows, run)
    for sentence in measured.sentences:
        if sentence.section == "layers":
            click.echo(sentence.text)
    keep("queries", measured, read_circumstances_of(benchmarks, address))
    check_errors(rows)
    return benchmarks[-1]


def _sweep(benchmark: Benchmark, address: Address) -> None:
    """Measure one query with ever more connections."""
    for connections in SWEEP:
        run = Run(address=address, driver="asyncpg", connections=connections, seconds=SWEEP_SECONDS, seed=SEED)
        rows = measure(benchmark, [None], run)
        click.echo(f"{connections:>3} connections: {rows[0].qps:>8,.0f} queries/s")
        keep("queries", figures(rows, run), read_circumstances_of([benchmark], address))
        check_errors(rows)


def _compare_loading(address: Address, rows: int) -> None:
    """Compare the loader with psql on a file of as many persons, in a database of its own."""
    comparisons = measure_loading(["csv"], address, rows=rows, rounds=LOADING_ROUNDS, only=LOADING_VARIANTS)
    print_comparisons(comparisons)
    keep("load", Comparisons(rounds=LOADING_ROUNDS, comparisons=tuple(comparisons)), read_circumstances(address))


def _run(step: str, command: list[str], address: Address) -> None:
    """Run one step's command with its output on the screen; StepFailed names the step."""
    # What was generated above is what is loaded, wherever BRONZE_ROOT may point.
    environment = os.environ | address.environment | {"BRONZE_ROOT": str(BRONZE)}
    sys.stdout.flush()
    status = subprocess.run(command, env=environment, check=False).returncode
    if status != 0:
        raise StepFailed(
            f"The step {step!r} ended with exit code {status}; its own words are above. Fix that, then run the demo "
            "again.",
            status if status > 0 else 128 - status,
        )


def _farewell(address: Address) -> str:
    """Say how to look around and how to stop."""
    psql = "psql"
    if address.is_local:
        psql = os.path.relpath(LocalServer(Path(".pgdata"), address).binaries / "psql")
    lines = [
        "",
        "Look around:",
        f"  {psql} {address.psql_url}",
        "  . .venv/bin/activate",
        "  dbt build --select source:people+            # build again",
        "  python -m loaders load && dbt build          # every declared source",
        "  dbt docs generate --static                   # then open target/static_index.html",
        "  python -m loaders status                     # the ledger",
        f"  python -m bench queries {' '.join(QUERIES)} -n 10 100 1000 --pgbench",
    ]
    return "\n".join([*lines, "Stop the server: make down"] if address.is_local else lines)
