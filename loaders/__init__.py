"""Land bronze files in PostgreSQL's staging schema by COPY, exactly once; insert records from Python."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loaders.records import FailedChunk as FailedChunk
    from loaders.records import InsertResult as InsertResult
    from loaders.records import insert_records as insert_records

__all__ = ["FailedChunk", "InsertResult", "insert_records"]


def __getattr__(name: str) -> Any:
    """Import what __all__ names when it is asked for: the command line needs none of it to start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from loaders import records

    return getattr(records, name)
