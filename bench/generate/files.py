"""What the generators share: draws that repeat, files written whole or not at all."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bench.errors import ToolError

# Rows are sorted and written a slice at a time, so that memory does not grow with their number.
SLICE_ROWS = 1_000_000
MEMORY_LIMIT = "1GB"

# Every choice is a hash of the variable `seed`, a key and the choice's name: the same on any number of threads. Without
# the cast of `ways` the modulo is one of 128 bits, and takes five times as long.
DRAWS = """
create macro draw(key, choice, ways) as (hash(getvariable('seed'), key, choice) % ways::ubigint)::bigint;
create macro happens(key, choice, percent) as draw(key, choice, 1000) < percent * 10;
create macro one_of(key, choice, words) as words[1 + draw(key, choice, len(words))];
"""


@dataclass(frozen=True)
class GeneratedFile:
    """A file that was written: where, how many rows and bytes, in how many seconds."""

    path: Path
    rows: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.path}: {self.rows:,} rows, {self.bytes / 1e6:.1f} MB, {self.seconds:.1f} s"


def write_csv(
    database: duckdb.DuckDBPyConnection, path: Path, query: str, parameters: Mapping[str, Any], *, rows: int,
    slice_rows: int = SLICE_ROWS,
) -> None:  # fmt: skip
    """Write what `query` selects of range($first, $last), for all of 0 to `rows`; ToolError if it cannot be written.

    The file appears whole or not at all, with a header also where there are no rows.
    """
    # Names that a source's path such as *.csv* does not take for bronze.
    partial, part = (path.with_name(f".{path.stem}-{os.getpid()}.{role}") for role in ("whole", "slice"))
    target = str(part).replace("'", "''")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as whole:
            for first in range(0, max(rows, 1), slice_rows):
                header = "true" if first == 0 else "false"
                database.execute(
                    f"copy ({query}) to '{target}' (format csv, header {header})",
                    {**parameters, "first": first, "last": min(first + slice_rows, rows)},
                )
                with part.open("rb") as written:
                    shutil.copyfileobj(written, whole, 1024 * 1024)
        partial.replace(path)
    except (OSError, duckdb.IOException) as error:
        raise ToolError(
            f"{path} cannot be written: {error}. Choose another folder with --to, or free space."
        ) from error
    finally:
        for leftover in (partial, part):
            with suppress(OSError):
                leftover.unlink()
