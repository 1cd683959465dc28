"""The document: sections of plots, each result's circumstances, in one HTML file that fetches nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.comparison import Comparisons
from bench.environment import Server
from bench.errors import ResultUnreadable
from bench.page import figures, queries, schedules
from bench.page.figures import Figure
from bench.queries.report import QueriesFigures
from bench.results import PROGRAM, Result, read_results, write_whole
from bench.tune.trials import Tuning

TEMPLATE = "template.html"


@dataclass(frozen=True)
class Section:
    """A section: its name in the address, its title, what its plots are of, the command that measures for them."""

    name: str
    title: str
    says: str
    command: str
    draw: Callable[[Sequence[Result]], list[Figure]]


SECTIONS = (
    Section(
        "loading", "Loading compared with other tools", "The same files into the same columns, by whole commands.",
        f"{PROGRAM} load", partial(figures.comparisons, "load"),
    ),
    Section(
        "layers", "What each layer gives", "The same question, asked of each layer; the answers are compared first.",
        f"{PROGRAM} queries", queries.layers,
    ),
    Section(
        "latency", "Latency", "Of every single query, from its send to its answer, while all connections are busy.",
        f"{PROGRAM} queries", queries.latency,
    ),
    Section(
        "connections", "More connections", "Each connection sends its next query when it has the answer to its last.",
        f"{PROGRAM} queries people_older_than_mart --connections 1, then 2, 4, 8 and 16", queries.connections,
    ),
    Section(
        "open-loop", "Arrivals on a schedule", "Queries arrive whether or not the last one is answered.",
        f"{PROGRAM} queries people_older_than_mart --rate 10000 --duration 20", schedules.open_loop,
    ),
    Section(
        "slo", "The highest rate that holds", "The most arrivals a second at which a percentile stays below a limit.",
        f'{PROGRAM} queries people_older_than_mart --slo "p99<10ms"', schedules.highest_rates,
    ),
    Section(
        "during", "While something runs", "Latency second by second while rows are loaded or a model is built.",
        f'{PROGRAM} queries people_older_than_mart --during "dbt run --full-refresh"', schedules.during,
    ),
    Section(
        "pgbench", "Compared with pgbench", "The same SQL in PostgreSQL's own program, which is written in C.",
        f"{PROGRAM} queries people_older_than_mart --pgbench", queries.compared_with_pgbench,
    ),
    Section(
        "transform", "Staging to core", "This project's full refresh and increments compared with stock dbt's.",
        f"{PROGRAM} transform", partial(figures.comparisons, "transform"),
    ),
    Section(
        "trials", "Index trials", "Each index is built in a transaction that is rolled back.",
        f"{PROGRAM} tune --set shop", figures.trials,
    ),
    Section(
        "many", "Many different queries", "Thousands of different queries, one by one and in parallel.",
        f"{PROGRAM} many", partial(figures.comparisons, "many"),
    ),
    Section(
        "records", "Records from Python", "insert_records, by COPY and by executemany.",
        f"{PROGRAM} records", partial(figures.comparisons, "records"),
    ),
    Section(
        "demo", "The demo, step by step", "From a generated file to measured answers.",
        "make demo", partial(figures.comparisons, "demo"),
    ),
)  # fmt: skip


# What a result of each kind holds.
FORMS: Mapping[str, type] = {
    "queries": QueriesFigures,
    "tune": Tuning,
    **dict.fromkeys(("load", "transform", "many", "records", "demo"), Comparisons),
}


@dataclass(frozen=True)
class Page:
    """A page that was written: where, the number of its plots and results; `notes` say what was left out."""

    path: Path
    plots: int
    results: int
    notes: Sequence[str]

    def __str__(self) -> str:
        """Say what was written."""
        size = self.path.stat().st_size / 1e6
        skipped = "".join(f"\nleft out: {note}" for note in self.notes)
        return f"{self.path}: {self.plots} plots from {self.results} results, {size:.1f} MB{skipped}"


def write_page(folder: Path, target: Path) -> Page:
    """Write the page of a folder's results, whole or not at all; results without figures are left out, with a note."""
    results, notes = _readable(folder)
    drawn = [(section, section.draw(results)) for section in SECTIONS]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(
        drawn=[(section, some) for section, some in drawn if some], notes=notes, places=_places(results),
        missing=[section for section, some in drawn if not some], lead=_lead(results),
    )  # fmt: skip
    write_whole(target, page)
    return Page(target, sum(len(some) for _, some in drawn), len(results), notes)


def _readable(folder: Path) -> tuple[list[Result], list[str]]:
    """Return the results whose figures can be read, and a note for each other one."""
    found, notes = read_results(folder)
    results = []
    for result in found:
        try:
            result.read(FORMS[result.kind])
        except ResultUnreadable as error:
            notes.append(str(error))
        except KeyError:
            notes.append(f"{result.path} is of `{result.kind}`, which has no plot here.")
        else:
            results.append(result)
    return results, notes


def _places(results: Sequence[Result]) -> list[tuple[str, Server, list[Result]]]:
    """Group results, newest first, by the machine and the server that they were taken on."""
    groups: list[tuple[str, Server, list[Result]]] = []
    for result in reversed(results):
        here = str(result.circumstances.machine), result.circumstances.server
        known = next((some for *place, some in groups if tuple(place) == here), None)
        if known is None:
            groups.append((*here, [result]))
        else:
            known.append(result)
    return groups


def _lead(results: Sequence[Result]) -> str:
    if not results:
        return "Nothing has been measured yet: the commands below do it."
    first, last = results[0].circumstances.day, results[-1].circumstances.day
    count = f"{len(results)} results" if len(results) > 1 else "One result"
    taken = first if first == last else f"from {first} to {last}"
    return f"{count}, taken {taken} (UTC). The newest result of each figure is drawn."
