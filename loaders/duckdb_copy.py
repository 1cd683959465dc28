"""Records of bronze files into a DuckDB table: cut as for COPY, and read by DuckDB out of pipes."""

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb

from loaders.block import BadRecord, Block
from loaders.copy_format import CopyFormat
from loaders.dealing import Dealer
from loaders.duckdb_file import quoted
from loaders.errors import FileError
from loaders.landing_file import LandingFile

# DuckDB reads a pipe by one thread, so each worker has a pipe of its own. Cutting holds the interpreter's lock,
# decompression does not.
WORKERS = 2
# Linux's own 64 KiB let writer and reader wait for each other: 7,150,000 records took 15.7 s, with this 13.2.
PIPE_BYTES = 1024**2
# A record is 16 MiB long at most (blocks.py); its lineage comes before it.
MAX_LINE_BYTES = 17 * 1024**2
BUFFER_BYTES = 2 * MAX_LINE_BYTES


def copy_files(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[LandingFile]) -> None:
    """Insert the records of files with equal columns, lineage before each; FileError names the first that cannot be.

    Rows arrive in any order: the lineage tells it.
    """
    try:
        _copy(connection, table, files)
    except duckdb.Error as error:
        if len(files) == 1:
            said = " ".join(str(error).split())[:500]
            raise FileError(f"{files[0].path}: DuckDB cannot read it: {said}. Fix it or remove it.") from error
        # The transaction is lost in any case; which file it was, a second reading tells.
        connection.execute("rollback")
        connection.execute("begin")
        for file in files:
            copy_files(connection, table, [file])
        raise


def _copy(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[LandingFile]) -> None:
    copy_format = files[0].copy_format
    columns = [*copy_format.lineage_columns, *files[0].columns]
    values = [f"{quoted(name)}::integer" for name in copy_format.lineage_columns] + [*map(quoted, files[0].columns)]
    with _pipes(files) as readable:
        connection.execute(
            f"insert into {table} ({', '.join(map(quoted, columns))}) "
            f"select {', '.join(values)} from {reading(readable, columns, copy_format)}"
        )
    if failed := next((file.error for file in files if file.error is not None), None):
        raise failed


def reading(descriptors: Sequence[int], columns: Sequence[str], copy_format: CopyFormat) -> str:
    """Return the table function that reads records with their lineage as text, as COPY would."""
    quote = copy_format.copy_quote
    options = {
        "auto_detect": "false",
        "header": "false",
        "all_varchar": "true",
        "columns": "{" + ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in columns) + "}",
        "delim": _literal(copy_format.copy_delimiter),
        "quote": _literal(quote),
        "escape": _literal(quote),
        "nullstr": _literal(copy_format.null_text),
        "allow_quoted_nulls": "false",
        "max_line_size": str(MAX_LINE_BYTES),
        "buffer_size": str(BUFFER_BYTES),
        # A newline in quotes ends no record: only reading from the front tells.
        "parallel": str(copy_format.is_json).lower(),
    }
    listed = ", ".join(f"{name} = {value}" for name, value in options.items())
    paths = ", ".join(f"'/dev/fd/{descriptor}'" for descriptor in descriptors)
    return f"read_csv([{paths}], {listed})"


@contextmanager
def _pipes(files: Sequence[LandingFile]) -> Iterator[list[int]]:
    """Write the files' records into pipes, and give the ends to read from; files have their errors afterwards."""
    dealer = Dealer(files, lambda _: None)
    pipes = [_pipe() for _ in range(WORKERS)]
    workers = [threading.Thread(target=_write, args=(dealer, writable), daemon=True) for _, writable in pipes]
    for worker in workers:
        worker.start()
    try:
        yield [readable for readable, _ in pipes]
    finally:
        # Where DuckDB has stopped reading, whoever writes gets an error.
        for readable, _ in pipes:
            os.close(readable)
        for worker in workers:
            worker.join()
        dealer.close()


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, to read from and to write into."""
    readable, writable = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with suppress(OSError):  # an account without rights has a limit of its own
            fcntl.fcntl(writable, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return readable, writable


def _write(dealer: Dealer, writable: int) -> None:
    """Write pieces into a pipe until there are none, or nobody reads it, and close it."""
    try:
        while (reader := dealer.take()) is not None:
            file = reader.file
            try:
                while (piece := reader.next()) is not None:
                    block = _checked(piece)
                    with file.lock:
                        file.records += block.records
                    _write_all(writable, block.data)
            except BrokenPipeError:
                return  # DuckDB has stopped, and says why
            except FileError as error:
                file.fail(error)
            except Exception as error:  # a pipe that ends early looks like the end of the records
                file.fail(FileError(f"{file.path}: it was not read to its end: {error!r}."))
    finally:
        os.close(writable)


def _checked(piece: Block | BadRecord) -> Block:
    """Return a block that DuckDB can read: there are no rejected records beside the others."""
    path = piece.file.path
    if isinstance(piece, BadRecord):
        raise FileError(f"{path}, record {piece.record} (byte {piece.offset}): {piece.reason}. Fix it.")
    if b"\0" in piece.data:
        raise FileError(f"{path}: a NUL byte stands behind byte {piece.offset}. Fix the file.")
    return piece.with_plain_line_ends()


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
