"""A session with an engine: what every driver opens, and what its queries bring."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.queries.benchmarks import Arguments

Rows = list[tuple[Any, ...]]
Fetch = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query of a pipeline brought: its rows or its error, and the clock's ns when it was sent and answered."""

    rows: Rows | None
    error: psycopg.Error | None
    sent_ns: int
    answered_ns: int


@dataclass(frozen=True)
class Session:
    """A connection that has prepared queries: `fetch` has a function a query, which runs it and returns all its rows.

    `fetch_many` sends several at once: the number of each query and its arguments, in the order of their replies.
    """

    fetch: Sequence[Fetch]
    is_closed: Callable[[], bool]
    close: Callable[[], Awaitable[None]]
    fetch_many: Callable[[Sequence[tuple[int, Arguments]]], list[Reply]] | None = None
