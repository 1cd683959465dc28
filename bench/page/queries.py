"""The plots of queries: what a layer buys, latencies, more connections, a schedule of arrivals over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.page.figure import Figure, listed, milliseconds, number, several
from bench.page.plots import MUTED, OURS, Bar, Point, bars, dots, grouped_bars, lines
from bench.results import Result, of_kind

LAYERS = {"staging": "var(--series-6)", "core": "var(--series-2)", "mart": OURS}
# A rate of less time says little, and would stand beside others that say more.
LEAST_SECONDS = 0.5
PERCENTILES = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Measured:
    """One row of a result: a query, how it was asked, and what came out; `row` is the rest as the file has it."""

    result: Result
    query: str
    question: str
    layer: str
    connections: int
    driver: str
    is_open: bool
    done: int
    qps: float
    row: dict[str, Any]


def measured(results: Sequence[Result]) -> list[Measured]:
    """Return all rows of all results, newest first, those that answered something."""
    return [
        Measured(
            result,
            row["query"],
            row.get("question") or row["query"],
            row.get("layer") or "",
            int(row.get("connections") or result.content.get("connections") or 1),
            str(row.get("driver") or result.content.get("driver") or ""),
            _load_model(result).get("kind") == "open",
            int(row["done"]),
            float(row["qps"]),
            row,
        )
        for result in of_kind(results, "queries")
        for row in result.content.get("rows", [])
        # The queries of a mix wait for each other: only their total is a rate.
        if row.get("done") and row.get("qps") and (not _load_model(result).get("mix") or row.get("layer") == "mix")
    ]


def layers(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each question, the queries a second of each layer, on a logarithmic scale."""
    shown = _by_layer(results)
    if not shown:
        return []
    points = [Point(series=one.layer, x=one.qps, y=one.question, text=number(one.qps)) for one in shown]
    bought: dict[str, list[float]] = {}
    for _, some in groupby(shown, key=lambda one: one.question):
        rates = {one.layer: one.qps for one in some}
        for layer in rates.keys() - {"mart"}:
            if "mart" in rates:
                bought.setdefault(layer, []).append(rates["mart"] / rates[layer])
    said = [f"{several(bought[layer])} times as many as {layer}" for layer in LAYERS if layer in bought]
    first = shown[0]
    return [
        Figure(
            title=f"Queries a second by layer, {first.connections} connections, {first.driver} (logarithmic scale)",
            svg=grouped_bars(
                sorted(points, key=_order),
                axis="queries/s",
                colors=[LAYERS.get(name, MUTED) for name in sorted({one.layer for one in shown}, key=_depth)],
                scale="log",
            ),
            meaning=f"The mart answers {listed(said)}, with the same answers." if said else "",
            results=_sources(shown),
        )
    ]


def latency(results: Sequence[Result]) -> list[Figure]:
    """Draw the latencies of each layer's queries: median, p95, p99, the longest."""
    shown = [one for one in _by_layer(results) if one.row.get("p50_ms")]
    if not shown:
        return []
    points = [
        Point(series=name, x=value, y=one.query, text=_latencies(one) if name == PERCENTILES[-1] else "")
        for one in shown
        for name in PERCENTILES
        if (value := one.row.get(f"{name}_ms"))
    ]
    marts = [one for one in shown if one.layer == "mart"] or shown
    slowest = max(marts, key=lambda one: float(one.row["p99_ms"]))
    return [
        Figure(
            title=f"Latency of a query in ms, {shown[0].connections} connections (logarithmic scale)",
            svg=dots(points, axis="ms"),
            meaning=(
                f"99 of 100 answers of {slowest.query} came within {milliseconds(slowest.row['p99_ms'])}, half of them "
                f"within {milliseconds(slowest.row['p50_ms'])}"
                + (": the slowest of the marts." if len(marts) > 1 else ".")
            ),
            results=_sources(shown),
        )
    ]


def connections(results: Sequence[Result]) -> list[Figure]:
    """Draw queries a second against connections, for the queries that were measured with more than two of them."""
    newest: dict[tuple[str, str, int], Measured] = {}
    for one in measured(results):
        if one.is_open or one.row.get("seconds", 0) < LEAST_SECONDS:
            continue
        key = (one.query, one.driver, one.connections)
        known = newest.get(key)
        # Of one file, the row with the most answers; of two files, the newer one.
        if known is None or (known.result is one.result and one.done > known.done):
            newest[key] = one
    curves: dict[tuple[str, str], list[Measured]] = {}
    for (query, driver, _), one in sorted(newest.items()):
        curves.setdefault((query, driver), []).append(one)
    curves = {key: curve for key, curve in curves.items() if len(curve) > 2}
    figures = []
    # Queries of unlike speed share no scale.
    for query, same in groupby(curves.items(), key=lambda item: item[0][0]):
        some = dict(same)
        points = [
            Point(series=driver, x=one.connections, y=one.qps, text=f"{one.qps:,.0f}")
            for (_, driver), curve in some.items()
            for one in curve
        ]
        best = max((one for curve in some.values() for one in curve), key=lambda one: one.qps)
        curve = some[query, best.driver]
        figures.append(
            Figure(
                title=f"{query}: queries a second against connections",
                svg=lines(points, axes=("connections", "queries/s"), steps=sorted({point.x for point in points})),
                meaning=(
                    f"The most is {best.qps:,.0f} queries/s with {best.connections} connections ({best.driver}), "
                    f"{number(best.qps / curve[0].qps)} times the rate of {curve[0].connections}."
                ),
                results=_sources([one for curve in some.values() for one in curve]),
            )
        )
    return figures


def open_loop(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each query, its newest run by a schedule of arrivals: queries a second over time."""
    newest: dict[str, Measured] = {}
    for one in measured(results):
        if one.is_open and one.row.get("series"):
            newest.setdefault(one.query, one)
    figures = []
    for one in newest.values():
        rate = _load_model(one.result).get("rate")
        points = [Point(series=one.query, x=second, y=count) for second, count in enumerate(one.row["series"], 1)]
        unsent = one.row.get("unsent")
        figures.append(
            Figure(
                title=f"{one.query}: answers a second over time, open loop",
                svg=lines(points, axes=("seconds from the start", "queries/s"), reference=rate),
                meaning=(
                    (f"{number(rate)} queries arrived a second (the dashed line), " if rate else "")
                    + f"{number(one.qps)} were answered; counted from the scheduled time, half of the answers came "
                    f"within {milliseconds(one.row['p50_ms'])}, 99 of 100 within {milliseconds(one.row['p99_ms'])}."
                    + (f" {unsent:,} were due and never sent, so that these are too good." if unsent else "")
                ),
                results=[one.result],
            )
        )
    return figures


def beside_pgbench(results: Sequence[Result]) -> list[Figure]:
    """Draw the harness's rate beside pgbench's, for each query and driver its newest comparison."""
    newest: dict[tuple[str, str], tuple[Result, dict[str, Any]]] = {}
    for result in of_kind(results, "queries"):
        # On a schedule both answer what arrives: their rates say nothing.
        for one in result.content.get("pgbench", []) if _load_model(result).get("kind") != "open" else []:
            newest.setdefault((one["query"], str(result.content.get("driver"))), (result, one))
    return [_comparison(result, one) for result, one in newest.values()]


def _comparison(result: Result, one: dict[str, Any]) -> Figure:
    drawn = []
    for name, key, is_ours in (("pgbench -M prepared", "pgbench_qps", False), ("harness", "harness_qps", True)):
        rates = sorted(one[key])
        median = rates[len(rates) // 2]
        drawn.append(Bar(name=name, value=median, text=number(median), is_ours=is_ours, low=rates[0], high=rates[-1]))
    return Figure(
        title=(
            f"{one['query']}, {result.content.get('driver')}: queries a second beside pgbench, "
            f"{len(one['harness_qps'])} rounds in turns"
        ),
        svg=bars(drawn, axis="queries/s"),
        meaning=f"The harness reaches {number(one['ratio'])} of pgbench's rate with the same query and connections.",
        results=[result],
    )


def _by_layer(results: Sequence[Result]) -> list[Measured]:
    """Return, for each question, the layers of the newest result that has more than one of them, by layer."""
    chosen: dict[str, dict[str, Measured]] = {}
    groups: dict[tuple[str, Path], list[Measured]] = {}
    for one in measured(results):
        if one.layer != "mix" and not one.is_open:
            groups.setdefault((one.question, one.result.path), []).append(one)
    for (question, _), group in groups.items():
        found: dict[str, Measured] = {}
        for one in group:
            if one.layer not in found or one.done >= found[one.layer].done:
                found[one.layer] = one
        if len(found) > 1:
            chosen.setdefault(question, found)
    return [found[layer] for _, found in sorted(chosen.items()) for layer in sorted(found, key=_depth)]


def _order(point: Point) -> tuple[int, str]:
    # The colours of the layers are the same whichever of them a question has.
    return _depth(point.series), str(point.y)


def _depth(layer: str) -> int:
    """Return the layer's place on the data's way; a layer of another name comes last."""
    return list(LAYERS).index(layer) if layer in LAYERS else len(LAYERS)


def _sources(some: Sequence[Measured]) -> list[Result]:
    return list({one.result.path: one.result for one in some}.values())


def _latencies(one: Measured) -> str:
    return " · ".join(number(one.row[f"{name}_ms"]) for name in PERCENTILES if one.row.get(f"{name}_ms")) + " ms"


def _load_model(result: Result) -> dict[str, Any]:
    return dict(result.content.get("load_model") or {})
