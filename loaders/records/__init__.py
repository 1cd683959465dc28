"""Records from Python inserted by COPY over several connections."""

from loaders.records.insert import FailedChunk, InsertResult, insert_records

__all__ = ["FailedChunk", "InsertResult", "insert_records"]
