"""The plots of trials: indexes on queries, many different queries at once."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.page.figure import Figure, listed, number, times
from bench.page.plots import Bar, Cell, bars, matrix
from bench.results import Result, of_kind

# As many columns as can be read; those that changed something come first.
MOST_CANDIDATES = 7
GATHER = "max_parallel_workers_per_gather"
FASTER, SLOWER, SAME = "less time, beyond noise", "more time, beyond noise", "no change beyond noise"


def indexes(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query its newest trials, the time with each index in units of the time without."""
    newest: dict[str, tuple[Result, list[Mapping[str, Any]]]] = {}
    for result in of_kind(results, "tune"):
        of_query: dict[str, list[Mapping[str, Any]]] = {}
        for trial in result.content.get("trials", []):
            if trial.get("ratio") is not None:
                of_query.setdefault(trial["query"], []).append(trial)
        for query, found in of_query.items():
            newest.setdefault(query, (result, found))
    trials = [trial for _, found in newest.values() for trial in found]
    if not trials:
        return []
    candidates = sorted(
        dict.fromkeys(trial["candidate"] for trial in trials),
        key=lambda name: max(_weight(trial) for trial in trials if trial["candidate"] == name),
        reverse=True,
    )
    shown = candidates[:MOST_CANDIDATES]
    cells = [
        Cell(
            row=trial["query"],
            column=_short(trial["candidate"]),
            text=f"{times(trial['ratio'])}\n{_spent(trial)}",
            kind=_kind(trial),
        )
        for trial in trials
        if trial["candidate"] in shown
    ]
    helping = [name for name in candidates if any(_kind(one) == FASTER for one in trials if one["candidate"] == name)]
    best = min(trials, key=lambda trial: float(trial["ratio"]))
    said = f"{len(helping)} of {len(candidates)} indexes save time beyond noise"
    said += f", namely {listed([_short(name).replace(chr(10), ' ') for name in helping])}" if helping else ""
    said += f"; the largest saving leaves {number(best['ratio'])} of {best['query']}'s time." if helping else "."
    if len(candidates) > len(shown):
        said += f" {len(candidates) - len(shown)} more are left out: the result's file has them."
    return [
        Figure(
            title="A query's time with an index, in units of its time without (medians)",
            svg=matrix(cells, kinds=(FASTER, SLOWER, SAME)),
            meaning=said,
            results=list({result.path: result for result, _ in newest.values()}.values()),
        )
    ]


def _weight(trial: Mapping[str, Any]) -> tuple[bool, bool, float]:
    return _kind(trial) == FASTER, bool(trial.get("used")), 1 / max(float(trial["ratio"]), 1e-9)


def _kind(trial: Mapping[str, Any]) -> str:
    if not trial.get("beyond_noise"):
        return SAME
    return FASTER if trial["ratio"] < 1 else SLOWER


def _spent(trial: Mapping[str, Any]) -> str:
    """Say the medians before and after, or that only plans were compared."""
    if trial.get("hypothetical"):
        return "by the plan"
    before, after = (statistics.median(trial[key]) for key in ("ms_before", "ms_after"))
    return f"{number(before)} to {number(after)} ms"


def _short(candidate: str) -> str:
    """Break a candidate's name before its columns, without its schema."""
    table, _, columns = candidate.partition(" ")
    return f"{table.rpartition('.')[2]}\n{columns}"


def many(results: Sequence[Result]) -> list[Figure]:
    """Draw the newest run of many different queries: queries a second of every way, by kind and parallel workers."""
    figures = []
    for result in of_kind(results, "many")[:1]:
        groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for way in result.content.get("ways", []):
            groups.setdefault((way["kind"], way.get(GATHER, 0)), []).append(way)
        figures += [_many(result, kind, gather, ways) for (kind, gather), ways in groups.items()]
    return figures


def _many(result: Result, kind: str, gather: int, ways: Sequence[Mapping[str, Any]]) -> Figure:
    drawn = []
    for way in ways:
        rates = sorted(way["queries"] / seconds for seconds in way["seconds"])
        several_runs = len(rates) > 1
        drawn.append(
            Bar(
                name=way["way"],
                value=way["queries_per_second"],
                text=f"{number(way['queries_per_second'])} queries/s · {times(way['ratio'])}",
                is_ours=not way["way"].startswith("sequential"),
                low=rates[0] if several_runs else None,
                high=rates[-1] if several_runs else None,
            )
        )
    best = max(ways, key=lambda way: float(way["ratio"]))
    workers = f"up to {gather} parallel workers each" if gather else "no parallel workers"
    return Figure(
        title=f"{ways[0]['queries']:,} different queries, {kind}, {workers}: queries/s",
        svg=bars(drawn, axis="queries/s"),
        meaning=(
            f"Best is {best['way']}: {number(best['ratio'])} times one connection's rate, with the same rows returned."
            if best["ratio"] > 1
            else "One connection, asked one query after the other, is not beaten here."
        ),
        results=[result],
    )
