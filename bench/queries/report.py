"""What the figures look like: a table, a closing line in words, and JSON with machine and server beside them."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row, processes
from bench.queries.pgbench import Comparison
from bench.queries.worker import Mix, Run
from loaders.connection import Address

# Without a terminal rich assumes 80 columns and folds the figures.
WIDTH_WITHOUT_TERMINAL = 160
SPARKLINE_WIDTH = 20
BARS = " ▁▂▃▄▅▆▇█"
SETTINGS = (
    "shared_buffers", "effective_cache_size", "work_mem", "max_parallel_workers_per_gather", "random_page_cost", "jit",
    "max_connections", "fsync", "synchronous_commit", "plan_cache_mode",
)  # fmt: skip


def console() -> Console:
    """Return a console on stdout that is wide enough for the table."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def rows_table(rows: Sequence[Row], run: Run) -> Table:
    """Return the table of measured rows, latencies in ms."""
    table = Table(title=f"{load_title(run)}, at most {run.seconds:g} s a row")
    has_series = any(len(row.summary.series) > 1 for row in rows)
    for heading in ("query", "layer"):
        table.add_column(heading)
    headings = ["n", "done", "seconds", "QPS", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors"]
    for heading in [*headings, *(["late", "unsent"] if run.rate is not None else [])]:
        table.add_column(heading, justify="right")
    if has_series:
        table.add_column("QPS each second", no_wrap=True)
    for row in rows:
        s = row.summary
        table.add_row(
            row.benchmark.name,
            row.benchmark.layer,
            "" if row.count is None else f"{row.count:,}",
            f"{s.done:,}",
            f"{s.seconds:.3f}",
            f"{s.qps:,.1f}",
            *("-" if value is None else f"{value:,.3f}" for value in (s.p50_ms, s.p95_ms, s.p99_ms, s.max_ms)),
            f"{s.errors:,}",
            *(counted(value) for value in ((s.late, s.unsent) if run.rate is not None else ())),
            *([sparkline(s.series)] if has_series else []),
        )
    return table


def load_title(run: Run) -> str:
    """Name the load model in a few words."""
    loop = "closed loop" if run.rate is None else f"open loop of {run.rate:,g} queries a second"
    pipelined = f" of {run.pipeline} queries a sync" if DRIVERS[run.driver].is_pipelined else ""
    used = processes(run)
    workers = "1 process" if used == 1 else f"{used} processes"
    return f"{loop}, {run.connections} connections, {workers}, {run.driver}{pipelined}"


def sparkline(series: Sequence[int], width: int = SPARKLINE_WIDTH) -> str:
    """Draw figures a second as bars from zero; more seconds than the width are averaged."""
    if len(series) > width:
        cuts = [at * len(series) // width for at in range(width + 1)]
        series = [sum(series[start:end]) // (end - start) for start, end in pairwise(cuts)]
    most = max(series, default=0) or 1
    return "".join(BARS[value * (len(BARS) - 1) // most] for value in series)


def counted(value: int | None) -> str:
    """Return a number as people read it, a dash for none."""
    return "-" if value is None else f"{value:,}"


def closing_lines(rows: Sequence[Row]) -> list[str]:
    """Say, for each question, what its mart buys over the layers below, by each layer's row with the most answers."""
    lines = []
    for question, some in groupby(sorted(rows, key=_question), key=_question):
        largest: dict[str, Row] = {}
        for row in some:
            known = largest.get(row.benchmark.layer)
            if known is None or row.summary.done >= known.summary.done:
                largest[row.benchmark.layer] = row
        mart = largest.pop("mart", None)
        bought = [
            f"{mart.summary.qps / row.summary.qps:,.0f} times as many as {layer}"
            for layer, row in largest.items()
            if mart is not None and row.summary.qps > 0
        ]
        if bought:
            lines.append(f"{question}: in queries a second, the mart answers {' and '.join(bought)}.")
    return lines


def circumstances(address: Address) -> dict[str, Any]:
    """Return what figures are read by, as JSON's types: date, revision, machine, server."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "server": _server(address),
    }


def figures(rows: Sequence[Row], comparisons: Sequence[Comparison], run: Run, mix: Mix | None = None) -> dict[str, Any]:
    """Return everything as JSON's types: the circumstances, the run, raw numbers.

    Each row has its latencies as `percentiles` (ms), its answers each full second as `series`, and the client's
    processor time a query as `overhead_us` (null for the parts of a mix, which share it).
    """
    is_pipelined = DRIVERS[run.driver].is_pipelined
    return {
        **circumstances(run.address),
        "driver": run.driver,
        "connections": run.connections,
        "processes": processes(run),
        "seconds_limit": run.seconds,
        "seed": run.seed,
        "load_model": {
            "kind": "closed" if run.rate is None else "open",
            "rate": run.rate,
            "warm_up_seconds": run.warm_up,
            "pipeline": run.pipeline if is_pipelined else None,
            "mix": None if mix is None else {one.name: w for one, w in zip(mix.benchmarks, mix.weights, strict=True)},
        },
        "rows": [
            {
                "query": row.benchmark.name,
                "question": row.benchmark.question,
                "layer": row.benchmark.layer,
                "n": row.count,
                **asdict(row.summary),
            }
            for row in rows
        ],
        "pgbench": [
            {
                "query": one.name,
                "harness_qps": one.harness_qps,
                "pgbench_qps": one.pgbench_qps,
                "ratio": one.ratio,
                "harness_mean_ms": [turn.mean_ms for turn in one.harness],
                "pgbench_mean_ms": [turn.mean_ms for turn in one.pgbench],
                "harness_overhead_us": [turn.overhead_us for turn in one.harness],
                "pgbench_overhead_us": [turn.overhead_us for turn in one.pgbench],
            }
            for one in comparisons
        ],
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the figures whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def _question(row: Row) -> str:
    return row.benchmark.question


def _server(address: Address) -> dict[str, Any]:
    with psycopg.connect(address.conninfo) as connection:
        shown = connection.execute(
            "select name, current_setting(name) from pg_settings where name = any(%s) order by name", [list(SETTINGS)]
        ).fetchall()
        version = connection.execute("select version()").fetchone()
    return {"version": version[0] if version else None, "settings": dict(shown)}


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _revision() -> str | None:
    """Return git's name for the checked-out commit, or None outside a repository or without git."""
    try:
        ended = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git the user has
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return ended.stdout.strip() or None if ended.returncode == 0 else None
