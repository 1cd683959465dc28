"""How figures are shown: numbers in sentences, tables on the terminal."""

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.table import Table

from bench.comparison import Comparison, Timing

# Without a terminal rich assumes 80 columns and folds the figures.
WIDTH_WITHOUT_TERMINAL = 240
MIB = 1024**2
# What a timing may have besides its seconds: heading, and the figure as text.
COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "peak_bytes": ("peak MiB", lambda value: f"{value / MIB:.0f}"),
    "wal_bytes": ("WAL MB", lambda value: f"{value / 1e6:,.0f}"),
    "reader_wait_seconds": ("reader wait s", lambda value: f"{value:.3f}"),
    "dead_rows": ("dead rows", lambda value: f"{value:,}"),
    "table_bytes": ("table MB", lambda value: f"{value / 1e6:,.0f}"),
    "index_bytes": ("index MB", lambda value: f"{value / 1e6:,.0f}"),
}


def number(value: float) -> str:
    """Write a number with the digits that count: 26,500, 4,120, 17.8, 0.84, 0.0042."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def console() -> Console:
    """Return a console on stdout that is wide enough for the tables."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def table(
    title: str, texts: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[str]], last: Sequence[str] = ()
) -> Table:
    """Return a table with columns of text, of numbers and again of text."""
    made = Table(title=title, title_justify="left")
    for heading in texts:
        made.add_column(heading, overflow="fold")
    for heading in numbers:
        made.add_column(heading, justify="right")
    for heading in last:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def optional(value: float | None, form: str) -> str:
    """Return a formatted number, a dash for none."""
    return "-" if value is None else format(value, form)


def comparison_table(comparison: Comparison) -> Table:
    """Return a row a variant, with the columns that any of them has."""
    extra = [name for name in COLUMNS if any(getattr(one, name) is not None for one in comparison.timings)]
    rounds = max((len(one.seconds) for one in comparison.timings), default=0)
    headings = [
        "seconds", f"{comparison.ratio_of}, {comparison.base} = 1", f"{comparison.unit}/s",
        *(COLUMNS[name][0] for name in extra),
    ]  # fmt: skip
    title = comparison.title if rounds < 2 else f"{comparison.title}; medians of {rounds} alternating rounds"
    return table(title, ["variant"], headings, (_row(one, extra) for one in comparison.timings))


def _row(timing: Timing, extra: Sequence[str]) -> list[str]:
    figures = (getattr(timing, name) for name in extra)
    return [
        timing.title,
        timing.note or optional(timing.median, ".3f"),
        "-" if timing.ratio is None else str(timing.ratio),
        optional(timing.rate, ",.0f"),
        *("-" if value is None else COLUMNS[name][1](value) for name, value in zip(extra, figures, strict=True)),
    ]


def print_comparisons(comparisons: Iterable[Comparison]) -> None:
    """Print each comparison's table and what it says in words."""
    screen = console()
    for comparison in comparisons:
        screen.print(comparison_table(comparison))
        for sentence in comparison.sentences:
            screen.print(sentence, highlight=False, soft_wrap=True, markup=False)
