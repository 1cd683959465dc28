"""Measured rows of queries, each with the result that it is of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.queries.report import QueriesFigures
from bench.queries.rows import Row
from bench.results import Result, of_kind


@dataclass(frozen=True)
class Measured:
    """One row with the result that it is of, and that result's figures."""

    result: Result
    figures: QueriesFigures
    row: Row

    def is_like(self, other: "Measured") -> bool:
        """Tell whether both were measured in the same circumstances, revision and options."""
        ours, theirs = self.result.circumstances, other.result.circumstances
        return ours.revision == theirs.revision and not ours.differences(theirs)


def read_queries(results: Sequence[Result]) -> list[tuple[Result, QueriesFigures]]:
    """Return the figures of all results of queries, newest first."""
    return [(result, result.read(QueriesFigures)) for result in of_kind(results, "queries")]


def measured(results: Sequence[Result]) -> list[Measured]:
    """Return all rows of all results, newest first, those that answered something."""
    return [
        Measured(result, figures, row)
        for result, figures in read_queries(results)
        for row in figures.rows
        # The queries of a mix wait for each other: only their total is a rate.
        if row.done and row.qps and (not figures.load_model.mix or row.layer == "mix")
    ]


def sentences_of(some: Iterable[Measured], section: str, about: set[str]) -> list[str]:
    """Return what the results say of these questions or queries, each sentence once."""
    said = (sentence for one in some for sentence in one.figures.sentences)
    return list(dict.fromkeys(one.text for one in said if one.section == section and one.about in about))


def sources_of(some: Sequence[Measured]) -> list[Result]:
    """Return the results of these rows, each once."""
    return list({one.result.path: one.result for one in some}.values())
