"""A plot with the words around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import Result


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot (SVG), its title with units, what it means in sentences, and the results that it was drawn from."""

    title: str
    svg: str
    sentences: Sequence[str]
    results: Sequence[Result]

    @property
    def sources(self) -> list[Result]:
        """The results without those that the same command took of the same revision, the newest of each first."""
        newest = sorted(self.results, key=lambda result: result.circumstances.date)
        unique = {(result.command, result.circumstances.revision): result for result in newest}
        return list(reversed(unique.values()))
