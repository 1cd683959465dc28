"""What `pip install` gives: the command `ingot`, insert_records and run_queries, all of them from loaders and bench."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.many.connection import QueryResult as QueryResult
    from bench.many.run_queries import iterate_queries as iterate_queries
    from bench.many.run_queries import run_queries as run_queries
    from loaders.records import FailedChunk as FailedChunk
    from loaders.records import InsertResult as InsertResult
    from loaders.records import insert_records as insert_records

__all__ = ["FailedChunk", "InsertResult", "QueryResult", "insert_records", "iterate_queries", "run_queries"]


def __getattr__(name: str) -> Any:
    """Import what __all__ names when it is asked for: the command line needs none of it to start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import bench
    import loaders

    return getattr(loaders if name in loaders.__all__ else bench, name)
