"""The tables of docs/benchmarks.md: each between its two marks, from the result of that name in docs/results."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.comparison import Comparison, Comparisons, Spread
from bench.errors import ResultUnreadable
from bench.queries.pgbench import PgbenchComparison
from bench.queries.report import QueriesFigures
from bench.queries.rows import Row
from bench.results import Result, read_result, write_whole
from bench.tables import COLUMNS, number
from bench.tune.trials import Tuning

DOCUMENT = Path("docs/benchmarks.md")
BLOCK = re.compile(r"<!-- table ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
MISSING = "Not measured yet: `python -m bench figures {}` does it."
LATENCIES = ("p50_ms", "p95_ms", "p99_ms")


def write_tables(document: Path, folder: Path) -> None:
    """Put the tables of a folder's results between the document's marks; ResultUnreadable names a file."""
    write_whole(document, with_tables(document.read_text(), folder))


def with_tables(text: str, folder: Path) -> str:
    """Return the text with every table made anew; one without a result says what makes it."""

    def made(found: re.Match[str]) -> str:
        path = folder / f"{found[1]}.json"
        body = block(read_result(path)) if path.exists() else MISSING.format(found[1])
        return f"<!-- table {found[1]} -->\n{body}\n<!-- end -->"

    return BLOCK.sub(made, text)


def block(result: Result) -> str:
    """Return a result's command, circumstances, tables and sentences."""
    if result.kind == "queries":
        parts = _of_queries(result.read(QueriesFigures))
    elif result.kind == "tune":
        parts = _of_trials(result.read(Tuning))
    elif result.kind in ("load", "records", "transform", "many"):
        parts = [part for one in result.read(Comparisons).comparisons for part in _of_comparison(one)]
    else:
        raise ResultUnreadable(f"{result.path} is of `{result.kind}`, of which no table is made: remove it.")
    here = result.circumstances
    load = "" if here.load_average is None else f", load average before {here.load_average:.1f}"
    head = f"    {result.command}"
    server = f"{' '.join(here.server.version.split()[:2])}, wal_level {here.server.settings['wal_level']}"
    where = f"{here.day} UTC, revision {here.revision or 'unknown'}, {server}{load}."
    return "\n\n".join([head, where, *parts])


def _of_comparison(comparison: Comparison) -> list[str]:
    extra = [name for name in COLUMNS if any(getattr(one, name) is not None for one in comparison.timings)]
    shown = f"{comparison.ratio_of} to {comparison.base}"
    headings = [comparison.title, "s", shown, f"{comparison.unit}/s", *(COLUMNS[name][0] for name in extra)]
    rows = [
        [
            one.title,
            one.note or _range([*one.seconds], "{:.2f}"),
            "-" if one.ratio is None else str(one.ratio),
            "-" if one.rate is None else number(one.rate),
            *("-" if (value := getattr(one, name)) is None else COLUMNS[name][1](value) for name in extra),
        ]
        for one in comparison.timings
    ]
    return [_table(headings, rows)]


def _of_queries(figures: QueriesFigures) -> list[str]:
    parts = []
    if figures.during is None and not figures.slo:
        headings = [
            f"{figures.connections} connections, {figures.driver}, {figures.rounds} rounds", "queries/s", "p50 ms",
            "p95 ms", "p99 ms", "longest ms", "answers",
        ]  # fmt: skip
        parts.append(_table(headings, (_row(row) for row in figures.rows)))
    compared = [one for one in figures.pgbench if one.ratio is not None]
    if compared:
        headings = ["queries/s by round", "harness", "pgbench -M prepared", "ratio", "client's us a query"]
        parts.append(_table(headings, (_beside(one) for one in compared)))
    wanted = ("open-loop", "slo", "during", "limit", "anchor", "slow")
    return [*parts, *dict.fromkeys(said.text for said in figures.sentences if said.section in wanted)]


def _row(row: Row) -> list[str]:
    spreads = [row.spread(name) for name in ("qps", *LATENCIES)]
    longest = "-" if row.max_ms is None else number(row.max_ms)
    return [row.title, *("-" if one is None else _spread(one) for one in spreads), longest, f"{row.done:,}"]


def _beside(one: PgbenchComparison) -> list[str]:
    ours, theirs = one.medians("overhead_us")
    rates = (", ".join(number(run.qps) for run in some) for some in (one.harness, one.pgbench))
    return [one.query, *rates, str(one.ratio), f"{ours:.1f} / {theirs:.1f}"]


def _of_trials(tuning: Tuning) -> list[str]:
    headings = ["query", "index", "ms before", "ms after", "ratio", "verdict"]
    rows = [
        [
            one.title, f"`{one.candidate}`", _range([*one.ms_before], "{:.1f}"), _range([*one.ms_after], "{:.1f}"),
            str(one.ratio), one.verdict.value,
        ]
        for one in tuning.trials
        if one.is_used or one.is_beyond_noise
    ]  # fmt: skip
    idle = len(tuning.trials) - len(rows)
    return [_table(headings, rows), f"The other {idle} of {len(tuning.trials)} trials are not used by the plan."]


def _spread(spread: Spread) -> str:
    if spread.low == spread.high:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    spread = Spread.of(values)
    median, low, high = (form.format(value) for value in (spread.median, spread.low, spread.high))
    return median if len(values) == 1 else f"{median} ({low} to {high})"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell would be a cell's end."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
