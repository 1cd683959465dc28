"""The document: sections of plots, each result's circumstances, in one HTML file that fetches nothing."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.errors import ResultUnreadable
from bench.page import queries, trials, work
from bench.page.figure import Figure
from bench.results import PROGRAM, Result, read_results

TEMPLATE = "template.html"


@dataclass(frozen=True)
class Section:
    """A section: its name in the address, its title, what its plots are of, the command that measures for them."""

    name: str
    title: str
    says: str
    command: str
    draw: Callable[[Sequence[Result]], list[Figure]]


@dataclass(frozen=True)
class Circumstances:
    """A machine and a server, in words, and the results that were taken there."""

    machine: str
    server: str
    settings: str
    results: Sequence[Result]


SECTIONS = (
    Section(
        "loading", "Loading beside its peers", "The same files into the same columns, whole commands, in turns.",
        f"{PROGRAM} load", work.loading,
    ),
    Section(
        "layers", "What each layer buys", "The same question, asked of each layer; the answers are compared first.",
        f"{PROGRAM} queries", queries.layers,
    ),
    Section(
        "latency", "Latency", "Of every single query, from its send to its answer, while all connections ask.",
        f"{PROGRAM} queries", queries.latency,
    ),
    Section(
        "connections", "More connections", "Each connection asks its next query when it has the answer to its last.",
        f"{PROGRAM} queries people_older_than_mart --connections 1, then 2, 4, 8 and 16", queries.connections,
    ),
    Section(
        "open-loop", "Arrivals on a schedule", "Queries arrive whether or not the last one is answered.",
        f"{PROGRAM} queries people_older_than_mart --rate 10000 --duration 20", queries.open_loop,
    ),
    Section(
        "pgbench", "Beside pgbench", "The same SQL in PostgreSQL's own program, which is written in C.",
        f"{PROGRAM} queries people_older_than_mart --pgbench", queries.beside_pgbench,
    ),
    Section(
        "transform", "Staging to core", "This project's full refresh and increments beside stock dbt's.",
        f"{PROGRAM} transform", work.transform,
    ),
    Section(
        "trials", "Index trials", "Each index is built in a transaction that is rolled back.",
        f"{PROGRAM} tune --set shop", trials.indexes,
    ),
    Section(
        "many", "Many different queries", "Thousands of queries, each another one, asked one by one and at once.",
        f"{PROGRAM} many", trials.many,
    ),
    Section(
        "records", "Records from Python", "insert_records, by COPY and by executemany.",
        f"{PROGRAM} records", work.records,
    ),
    Section(
        "demo", "The demo, step by step", "From a generated file to measured answers.",
        "make demo", work.steps,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """A page that was written: where, how many plots are on it, from how many results."""

    path: Path
    plots: int
    results: int

    def __str__(self) -> str:
        """Say what was written."""
        return f"{self.path}: {self.plots} plots from {self.results} results, {self.path.stat().st_size / 1e6:.1f} MB"


def write_page(folder: Path, target: Path) -> Page:
    """Write the page of a folder's results, whole or not at all."""
    results = read_results(folder)
    drawn = [(section, _draw(section, results)) for section in SECTIONS]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(
        sections=SECTIONS, drawn=drawn, circumstances=circumstances(results), lead=_lead(results)
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(page)
    partial.replace(target)
    return Page(target, sum(len(figures) for _, figures in drawn), len(results))


def circumstances(results: Sequence[Result]) -> list[Circumstances]:
    """Group results, newest first, by the machine and the server that they were taken on."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in reversed(results):
        groups.setdefault((_machine(result), _server(result), _settings(result)), []).append(result)
    return [Circumstances(*words, some) for words, some in groups.items()]


def _draw(section: Section, results: Sequence[Result]) -> list[Figure]:
    """Draw a section; ResultUnreadable names the files among which one lacks what the plots show."""
    try:
        return section.draw(results)
    except (KeyError, TypeError, ValueError) as error:
        files = ", ".join(str(result.path) for result in results)
        raise ResultUnreadable(
            f"{section.title!r} cannot be drawn ({error!r}): among {files} is a result of another version. Measure it "
            "again, or remove it."
        ) from error


def _lead(results: Sequence[Result]) -> str:
    if not results:
        return "Nothing has been measured yet: each section says which command does it."
    first, last = results[0].day, results[-1].day
    count = f"{len(results)} results" if len(results) > 1 else "One result"
    return (
        f"{count}, taken {first if first == last else f'from {first} to {last}'} (UTC). The newest of a kind is drawn."
    )


def _machine(result: Result) -> str:
    machine = result.content.get("machine") or {}
    words = [machine.get("cpu"), f"{machine['cores']} cores" if machine.get("cores") else None]
    words += [f"{machine['memory_bytes'] / 1024**3:.0f} GiB" if machine.get("memory_bytes") else None]
    words += [machine.get("system"), f"Python {machine['python']}" if machine.get("python") else None]
    return ", ".join(word for word in words if word) or "a machine that the result does not name"


def _server(result: Result) -> str:
    server = result.content.get("server") or {}
    return str(server.get("version") or "a server that the result does not name")


def _settings(result: Result) -> str:
    settings = (result.content.get("server") or {}).get("settings") or {}
    return ", ".join(f"{name} = {value}" for name, value in settings.items())
