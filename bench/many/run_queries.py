"""Run many different queries at once: thousands of (SQL, parameters), answered in parallel, errors in the results.

    from bench import run_queries

    payloads = [
        ("select count(*) from core.people where age > $1", [40]),
        ("select country, sum(person_count) from marts.people_by_place group by country", []),
    ]
    if __name__ == "__main__":  # with mode="processes" Python imports this file again in each
        for result in run_queries("postgresql://ingot:ingot@127.0.0.1:54329/ingot", payloads, workers=4):
            print(result.error or result.rows)

Placeholders are PostgreSQL's own, $1 $2 ... Threads suit queries that keep the database busy; processes suit work in
Python: a `function` that is applied to each result in the worker, so that only its value travels back.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal, get_args

from bench.many.connection import Connection, Function, Payload, QueryResult, Target
from bench.many.workers import Process, run_by

Mode = Literal["threads", "processes"]
MODES: tuple[Mode, ...] = get_args(Mode)
CONNECTIONS: dict[str, type[Connection] | type[Process]] = {"threads": Connection, "processes": Process}


def run_queries(
    conninfo: str,
    payloads: Iterable[Payload],
    *,
    workers: int,
    mode: Mode = "threads",
    function: Function | None = None,
    ordered: bool = True,
    read_only: bool = True,
    progress: bool = True,
) -> list[QueryResult]:
    """Run every payload, (SQL, parameters), and return all results: in the payloads' order, or as they came.

    Each of `workers` (threads or processes) keeps one connection and takes the next payload when it is done with one,
    so that long and short ones balance. `function` is applied to each result in the worker, and what it returns is
    passed on as `value`, in place of the rows; for processes it must be defined at the top of a module. A query or
    function that fails has its error in its result; the others go on. A connection that is lost costs its payload, and
    is opened again once. Each payload is one statement and its own transaction, which is read-only unless `read_only`
    is False: a guard against accidents, which SQL that means to can lift. `progress` shows a bar on stderr, where that
    is a terminal. Ctrl-C cancels what runs, closes the connections and raises KeyboardInterrupt. ServerError: a worker
    had no connection to begin with.
    """
    results = iterate_queries(
        conninfo, payloads, workers=workers, mode=mode, function=function, read_only=read_only, progress=progress
    )
    return sorted(results, key=lambda result: result.index) if ordered else list(results)


def iterate_queries(
    conninfo: str,
    payloads: Iterable[Payload],
    *,
    workers: int,
    mode: Mode = "threads",
    function: Function | None = None,
    read_only: bool = True,
    progress: bool = True,
) -> Iterator[QueryResult]:
    """Yield the results of `run_queries` as they come; to leave the loop cancels the rest."""
    if workers < 1 or mode not in CONNECTIONS:
        raise ValueError(f"{workers} workers and mode {mode!r}: pass workers >= 1 and one of {', '.join(CONNECTIONS)}.")
    some = list(payloads)
    if not some:
        return
    target = Target(conninfo, read_only, function)
    with closing(run_by(CONNECTIONS[mode], target, some, min(workers, len(some)))) as results:
        yield from _shown(results, len(some)) if progress else results


def _shown(results: Iterator[QueryResult], total: int) -> Iterator[QueryResult]:
    """Pass the results on and draw a bar."""
    # Imported where it shows: 0.1 s that a program without a bar does not pay.
    from rich import progress
    from rich.console import Console

    screen = Console(stderr=True)
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[failed]:,} failed"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        task, failed = bar.add_task("queries", total=total, failed=0), 0
        for result in results:
            failed += result.error is not None
            bar.update(task, advance=1, failed=failed)
            yield result
