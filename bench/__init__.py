"""Generate bronze at any scale, measure what the built models answer, run many different queries in parallel."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.many.connection import QueryResult as QueryResult
    from bench.many.run_queries import iterate_queries as iterate_queries
    from bench.many.run_queries import run_queries as run_queries

__all__ = ["QueryResult", "iterate_queries", "run_queries"]


def __getattr__(name: str) -> Any:
    """Import what __all__ names when it is asked for: the harness's processes need none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.many import run_queries as module

    return getattr(module, name)
