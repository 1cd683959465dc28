"""A plot with the words around it, and how the page's words write numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import Result


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot (SVG), its title with units, what it means in a sentence, and the results that it was drawn from."""

    title: str
    svg: str
    meaning: str
    results: Sequence[Result]

    @property
    def sources(self) -> list[Result]:
        """The results without those that the same command took of the same revision, the newest of each first."""
        newest = sorted(self.results, key=lambda result: result.date)
        unique = {(result.command, result.revision): result for result in newest}
        return list(reversed(unique.values()))


def number(value: float) -> str:
    """Write a number with the digits that count: 26,500, 4,120, 17.8, 0.84, 0.0042."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def times(value: float) -> str:
    """Write a ratio with the sign of multiplication."""
    return f"{number(value)} \N{MULTIPLICATION SIGN}"


def milliseconds(value: float) -> str:
    """Write a latency given in ms."""
    return f"{number(value)} ms"


def several(values: Sequence[float]) -> str:
    """Write the range of ratios: '12 to 4,120', or the one that there is."""
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def listed(names: Sequence[str]) -> str:
    """Write 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
