"""Parquet and JSON arrays as streams of CSV: DuckDB reads them, and writes what COPY takes."""

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import duckdb

from loaders.copy_format import CONVERTED_NULL
from loaders.errors import FileError
from loaders.open_file import StoredFile

# DuckDB's own share of memory, beside the loader's 96 MiB; nothing is downloaded.
SETTINGS: dict[str, Any] = {"memory_limit": "512MiB", "autoinstall_known_extensions": False}
PIPE_BYTES = COPIED_BYTES = 1024**2
READERS = {
    "parquet": "read_parquet(?)",
    # No deeper: what is nested stays as it is written.
    "json": "read_json(?, format = 'array', maximum_depth = 1, sample_size = -1)",
}


class ConvertedFile:
    """A file that DuckDB reads (`kind`: parquet or json), as CSV with a header, in which NULL is CONVERTED_NULL.

    A value is DuckDB's text of it, of lists and structs JSON.
    """

    def __init__(self, path: str, stored: StoredFile, kind: str, size: int) -> None:
        self._path = path
        self._size = size
        self._stack = contextlib.ExitStack()
        self._error: duckdb.Error | None = None
        self._at_end = False
        with contextlib.ExitStack() as stack:
            stack.callback(stored.close)
            local = stack.enter_context(_local_copy(stored))
            self._connection = duckdb.connect(config=SETTINGS)
            stack.callback(self._connection.close)
            self._connection.execute("set timezone = 'UTC'")
            source = READERS[kind]
            try:
                columns = self._connection.execute(f"describe select * from {source}", [str(local)]).fetchall()
            except duckdb.Error as error:
                raise self._unreadable(error) from error
            values = ", ".join(f"{text_of(name, kind_of)} as {quoted(name)}" for name, kind_of, *_ in columns)
            readable, writable = os.pipe()
            self._output = stack.enter_context(open(readable, "rb", buffering=PIPE_BYTES))  # noqa: PTH123 - no path
            # An empty text of a table of one column would be a blank line.
            quotes = ", force_quote *" if len(columns) == 1 else ""
            self._thread = threading.Thread(
                target=self._write, args=(f"select {values} from {source}", quotes, local, writable), daemon=True
            )
            self._thread.start()
            self._stack = stack.pop_all()

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end; FileError for what DuckDB cannot read."""
        data = self._output.read(size)
        if not data:
            self._thread.join()
            self._at_end = True
            if self._error is not None:
                raise self._unreadable(self._error) from self._error
        return data

    def close(self) -> None:
        """Stop DuckDB where it still reads, and let go of the file."""
        if self._thread.is_alive():
            self._connection.interrupt()
            # It may wait for room in the pipe.
            while self._output.read(PIPE_BYTES):
                pass
            self._thread.join()
        self._stack.close()

    @property
    def position(self) -> int:
        """How many stored bytes have been read: all of them at the end, which is all that DuckDB tells."""
        return self._size if self._at_end else 0

    def _write(self, query: str, quotes: str, local: Path, writable: int) -> None:
        options = f"format csv, header true, nullstr '{CONVERTED_NULL}', use_tmp_file false{quotes}"
        try:
            self._connection.execute(f"copy ({query}) to '/dev/fd/{writable}' ({options})", [str(local)])
        except duckdb.Error as error:
            self._error = error
        finally:
            os.close(writable)

    def _unreadable(self, error: duckdb.Error) -> FileError:
        return FileError(f"{self._path} cannot be read: {str(error).splitlines()[0]} Export it again.")


@contextlib.contextmanager
def _local_copy(stored: StoredFile) -> Any:
    """Give the file as one on disk: DuckDB reads its end first, and asks for a path."""
    name = getattr(stored, "name", None)
    if isinstance(name, str):
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(prefix="ingot-") as copy:
        while data := stored.read(COPIED_BYTES):
            copy.write(data)
        copy.flush()
        yield Path(copy.name)


def text_of(name: str, kind: str) -> str:
    """Return the expression of a column's text: JSON of what is nested, and of JSON what it says."""
    column = quoted(name)
    if kind == "JSON":
        texts = f"when 'VARCHAR' then {column} ->> '$' when 'NULL' then null else cast({column} as varchar)"
        value = f"case json_type({column}) {texts} end"
    elif kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]"):
        value = f"to_json({column})"
    else:
        value = column
    return f"cast({value} as varchar)"


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
