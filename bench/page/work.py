"""The plots of work done: loading beside its peers, records from Python, dbt's strategies, the demo's steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.page.figure import Figure, listed, number, several, times
from bench.page.plots import Bar, Point, bars, lines
from bench.results import Result, of_kind

MIB = 1024**2
CASE_TITLES = {
    "csv": "CSV into a table of text columns",
    "jsonl": "Gzipped NDJSON into jsonb",
    "files": "One file beside a thousand small ones",
    "rerun": "Loading again what is loaded",
}
OWN_CASES = ("files", "rerun")  # every way of theirs is the loader's
POSTGRESQL = ("psql", "server")  # its own ways


def loading(results: Sequence[Result]) -> list[Figure]:
    """Draw, for each case and number of rows, its newest run: seconds of whole commands."""
    newest: dict[tuple[str, int], tuple[Result, list[Mapping[str, Any]]]] = {}
    for result in of_kind(results, "load"):
        cases: dict[str, list[Mapping[str, Any]]] = {}
        for way in result.content.get("results", []):
            cases.setdefault(way["case"], []).append(way)
        for case, ways in cases.items():
            if any(way.get("median_seconds") for way in ways):
                newest.setdefault((case, ways[0]["rows"]), (result, ways))
    order = [*CASE_TITLES, *(case for case, _ in newest)]
    found = sorted(newest.items(), key=lambda item: (order.index(item[0][0]), -item[0][1]))
    return [_loading_case(case, result, ways) for (case, _), (result, ways) in found]


def _loading_case(case: str, result: Result, ways: Sequence[Mapping[str, Any]]) -> Figure:
    taken = [way for way in ways if way.get("median_seconds")]
    drawn = []
    for way in taken:
        seconds, ratio, peak = way["median_seconds"], way.get("ratio"), way.get("peak_bytes")
        words = [f"{number(seconds)} s", *([times(ratio)] if ratio else [])]
        words += [f"{number(way['rows'] / seconds)} rows/s"] if case != "rerun" else []
        words += [f"{peak / MIB:.0f} MiB"] if peak else []
        drawn.append(_bar(way["title"], seconds, words, way.get("seconds", []), is_ours=_is_ours(case, way)))
    rows = {way["rows"] for way in taken}
    count = f"{rows.pop():,} rows, " if len(rows) == 1 else ""
    runs = result.content.get("runs")
    return Figure(
        title=f"{CASE_TITLES.get(case, case)}: {count}seconds of the whole command"
        + (f", median of {runs} runs in turns" if runs else ""),
        svg=bars(drawn, axis="seconds"),
        meaning=_loading_meaning(case, ways, taken),
        results=[result],
    )


def _loading_meaning(case: str, ways: Sequence[Mapping[str, Any]], taken: Sequence[Mapping[str, Any]]) -> str:
    first, ours = taken[0], [way for way in taken if _is_ours(case, way)]
    words = []
    if case == "rerun":
        last = taken[-1]
        words.append(f"{last['title']} are passed over in {number(last['median_seconds'])} s.")
    elif case == "files":
        words += [
            f"The {way['title']}, reach {number(_rate(way) / _rate(first))} of one file's rows/s." for way in ours[1:]
        ]
    else:
        parts = [f"{way['title']}, {number(_rate(first) / _rate(way))}" for way in ours]
        words += [f"In units of the time of {first['title']}: {'; '.join(parts)}."] if parts else []
        peers = [way for way in taken if way not in ours and way["way"] not in POSTGRESQL]
        best = max(ours, key=_rate, default=first)
        if peers:
            slower = several([_rate(best) / _rate(way) for way in peers])
            words.append(f"The other programs take {slower} times as long as {best['title']}.")
    missing = [way["title"] for way in ways if way not in taken]
    if missing:
        words.append(f"Not taken to the end: {listed(missing)}.")
    return _capital(" ".join(words) or f"{first['title']} took {number(first['median_seconds'])} s.")


def _rate(way: Mapping[str, Any]) -> float:
    return float(way["rows"] / way["median_seconds"])


def records(results: Sequence[Result]) -> list[Figure]:
    """Draw the newest run of insert_records: records a second by way and tasks."""
    for result in of_kind(results, "records")[:1]:
        cases = [case for case in result.content.get("cases", []) if not case.get("is_split")]
        points = [
            Point(series=_record_way(case), x=case["tasks"], y=case["records_per_second"], text="") for case in cases
        ]
        if not points:
            return []
        copied = max(case["records_per_second"] for case in cases if case["use_copy"])
        executed = max((case["records_per_second"] for case in cases if not case["use_copy"]), default=None)
        beside = f", {number(copied / executed)} times the best of executemany" if executed else ""
        return [
            Figure(
                title=f"Records from Python: {cases[0]['records']:,} records, records/s by concurrent tasks",
                svg=lines(points, axes=("tasks", "records/s"), steps=sorted({point.x for point in points})),
                meaning=f"COPY takes up to {number(copied)} records a second from Python{beside}.",
                results=[result],
            )
        ]
    return []


def _record_way(case: Mapping[str, Any]) -> str:
    return f"{'COPY' if case['use_copy'] else 'executemany'}, {'pool' if case['is_pooled'] else 'no pool'}"


def transform(results: Sequence[Result]) -> list[Figure]:
    """Draw the newest run of dbt's strategies: full refreshes, and increments."""
    figures = []
    for result in of_kind(results, "transform")[:1]:
        rows, ways = result.content.get("rows", 0), result.content.get("ways", [])
        full = [way for way in ways if way["records"] == rows]
        increments = [way for way in ways if way["records"] != rows]
        if full:
            title = f"Full refresh of {rows:,} rows with three indexes: seconds of the model, median"
            figures.append(_strategies(title, full, result))
        if increments:
            title = f"Increments of {increments[0]['records']:,} rows onto {rows:,}: seconds of the model, median"
            figures.append(_strategies(title, increments, result))
    return figures


def _strategies(title: str, ways: Sequence[Mapping[str, Any]], result: Result) -> Figure:
    drawn, meanings = [], []
    for way in ways:
        ratio, seconds = way.get("ratio"), way["seconds"]
        words = [f"{number(seconds)} s", *([times(ratio)] if ratio else []), f"WAL {way['wal_bytes'] / 1e6:,.0f} MB"]
        words += [f"dead rows {way['dead_rows']:,}", f"a reader waits {number(way['reader_wait_seconds'])} s"]
        singles = [cost["seconds"] for cost in way.get("costs", [])]
        drawn.append(_bar(way["name"], seconds, words, singles, is_ours=not way["name"].startswith("stock")))
        if ratio and not way["name"].startswith("stock"):
            meanings.append(f"{way['name']} takes {number(ratio)} of stock dbt's time")
    meaning = f"{_capital('; '.join(meanings))}. A reader's wait is the longest of all runs." if meanings else ""
    return Figure(title=title, svg=bars(drawn, axis="seconds"), meaning=meaning, results=[result])


def steps(results: Sequence[Result]) -> list[Figure]:
    """Draw the newest demo's steps, from an empty folder to the figures."""
    for result in of_kind(results, "demo")[:1]:
        taken = result.content.get("steps", [])
        if not taken:
            return []
        total = sum(step["seconds"] for step in taken)
        drawn = [
            _bar(step["title"], step["seconds"], [f"{number(step['seconds'])} s"], [], is_ours=True) for step in taken
        ]
        return [
            Figure(
                title=f"The demo with {result.content.get('rows', 0):,} persons: seconds of each step",
                svg=bars(drawn, axis="seconds"),
                meaning=f"From no file at all to measured answers it takes {number(total)} s.",
                results=[result],
            )
        ]
    return []


def _bar(name: str, value: float, words: Sequence[str], singles: Sequence[float], *, is_ours: bool) -> Bar:
    """Return a bar with the range of its single runs, where there is more than one."""
    low, high = (min(singles), max(singles)) if len(singles) > 1 else (None, None)
    return Bar(name=name, value=value, text=" · ".join(words), is_ours=is_ours, low=low, high=high)


def _is_ours(case: str, way: Mapping[str, Any]) -> bool:
    return case in OWN_CASES or str(way["way"]).startswith("loader")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
