"""The commands `load`, `records`, `transform`, `compare` and `figures`."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.compare.cases import CASES, measure_loading
from bench.compare.figures import PUBLISHED, publish
from bench.compare.records import measure_records
from bench.compare.repeated import Repeated, compare_folders
from bench.compare.two_results import Change, compare_results, read_limit
from bench.comparison import Comparisons, Spread, check_failures
from bench.environment import read_circumstances
from bench.errors import SlowerThanAllowed, ToolError
from bench.results import json_option, keep, read_result, rounds_option, rows_option, say, seed_option
from bench.tables import console, number, print_comparisons, table
from loaders.connection import Address


@click.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@rows_option(1_000_000)
@rounds_option
@click.option("--only", multiple=True, metavar="VARIANT", help="Only this variant; may be repeated.")
@json_option
def load(cases: tuple[str, ...], rows: int, rounds: int, only: tuple[str, ...], json_path: Path | None) -> None:
    """Compare the loader with psql, COPY FROM file and other tools: all cases, or those named.

    Example: python -m bench load csv --rows 10000000 --only psql --only loader-2
    """
    address = Address.from_environment()
    comparisons = measure_loading(cases or tuple(CASES), address, rows=rows, rounds=rounds, only=only)
    print_comparisons(comparisons)
    keep("load", Comparisons(rounds=rounds, comparisons=tuple(comparisons)), read_circumstances(address), json_path)
    check_failures(comparisons)


@click.command()
@rows_option(100_000)
@rounds_option
@seed_option
@json_option
def records(rows: int, rounds: int, seed: int, json_path: Path | None) -> None:
    """Compare methods of inserting records: insert_records by COPY, executemany, INSERT; all new, or half of them.

    Example: python -m bench records --rows 100000 --rounds 3
    """
    address = Address.from_environment()
    comparisons = measure_records(address, rows=rows, seed=seed, rounds=rounds, say=say)
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons), seed=seed)
    keep("records", figures, read_circumstances(address), json_path)


@click.command()
@rows_option(2_000_000, "Rows of the core table.", least=100)
@click.option(
    "--increments", type=click.IntRange(min=0), default=10, show_default=True,
    help="Number of increments, each of a tenth of the rows.",
)  # fmt: skip
@click.option(
    "--changed", type=click.IntRange(0, 100), multiple=True, default=(0, 5, 50, 100), show_default=True,
    metavar="PERCENT", help="How many of an increment's rows change; may be repeated.",
)  # fmt: skip
@click.option(
    "--rounds", type=click.IntRange(min=0), default=3, show_default=True, help="Full refreshes of each variant."
)
@json_option
def transform(rows: int, increments: int, changed: tuple[int, ...], rounds: int, json_path: Path | None) -> None:
    """Compare full refreshes and increments with stock dbt's, on the same rows.

    Example: python -m bench transform --rows 2000000 --increments 10 --changed 5
    """
    from bench.compare.transform import measure_transform  # dbt takes a second to import

    address = Address.from_environment()
    comparisons = measure_transform(address, rows=rows, increments=increments, changed=changed, rounds=rounds, say=say)
    print_comparisons(comparisons)
    figures = Comparisons(rounds=rounds, comparisons=tuple(comparisons))
    keep("transform", figures, read_circumstances(address), json_path)


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--fail", "limits", multiple=True, metavar="FIGURE:PERCENT%",
    help="Exit with 1 if this figure (qps, p50, p95, p99, time) is slower by more; may be repeated.",
)  # fmt: skip
def compare(before: Path, after: Path, limits: tuple[str, ...]) -> None:
    """Compare two results of one command: how much slower AFTER is than BEFORE, and how sure that is.

    Each round counts in units of what was measured beside it (the anchor query; psql), since the machine's own speed
    moves. With 10 rounds or more in both, each ratio has an interval that holds the true one in 999 of 1,000 cases, and
    `finds` is the least slowdown that it tells from none.

    Of two folders of `figures` it shows the figures whose ranges do not overlap, and counts those that do.

    Example: python -m bench compare old.json new.json --fail p99:10%
    """
    allowed = [read_limit(text) for text in limits]
    if before.is_dir() and after.is_dir():
        if limits:
            raise click.UsageError("--fail is of two results: name two files, or leave it out.")
        _show_repeated(compare_folders(before, after))
        return
    found = compare_results(read_result(before), read_result(after))
    for difference in found.differences:
        click.echo(f"unequal: {difference}")
    for row in found.unmatched:
        click.echo(f"in one of the two only: {row}")
    headings = ["before", "after", "rounds", "ratio of time", "finds"]
    console().print(table("after to before", ["row", "figure"], headings, map(_cells, found.changes), ["verdict"]))
    slower = []
    for figure, share in allowed:
        of_figure = [one for one in found.changes if one.figure == figure]
        if not of_figure:
            raise ToolError(f"No row has {figure} in both results: leave --fail {figure} out, or measure it.")
        slower += [f"{one.row}: {figure} {one.interval}" for one in of_figure if one.is_slower_by(share)]
        unsure = [one for one in of_figure if one.interval is None or one.interval.detectable > share]
        if unsure:
            click.echo(f"{figure}: {len(unsure)} of {len(of_figure)} rows cannot show {share:.0%}: run more --rounds")
    if slower:
        raise SlowerThanAllowed(f"slower than allowed: {'; '.join(slower)}. Find the change, or raise --fail.")


def _show_repeated(found: Sequence[Repeated]) -> None:
    """Print the ranges that do not overlap, and how many do."""
    apart = [one for one in found if not one.overlaps]
    rows = ([one.name, _range(one.before), _range(one.after)] for one in apart)
    console().print(table("ranges that do not overlap", ["figure"], ["before", "after"], rows))
    for is_ratio, what in ((True, "ratios of paired runs"), (False, "times, rates and latencies")):
        some = [one for one in found if one.is_ratio is is_ratio]
        click.echo(f"{what}: {sum(one.overlaps for one in some)} of {len(some)} ranges overlap")


def _range(spread: Spread) -> str:
    return f"{number(spread.low)} to {number(spread.high)}"


@click.command()
@click.argument("names", nargs=-1, metavar="[STEP ...]")
@click.option("--quick", is_flag=True, help="Small data and few rounds: shows that every step works, in minutes.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=PUBLISHED, show_default=True,
    help="Folder of the results.",
)  # fmt: skip
def figures(names: tuple[str, ...], quick: bool, folder: Path) -> None:
    """Measure the marked tables of docs/benchmarks.md, or the named steps, on a server of its own.

    It takes some 35 minutes, and nothing else should run meanwhile. load-peers-10m, another ten minutes, is measured
    only where it is named. `report --docs` writes the tables then.

    Example: python -m bench figures load-csv queries
    """
    publish(list(names), quick=quick, say=say, folder=folder)


def _cells(change: Change) -> list[str]:
    interval = change.interval
    return [
        change.row,
        change.figure,
        *map(number, change.medians),
        " / ".join(map(str, change.rounds)),
        f"{change.ratio:.2f}" if interval is None else str(interval),
        "-" if interval is None else f"{interval.detectable:.0%}",
        change.verdict,
    ]
