"""How much disk a run takes, sampled while a stage runs."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from loaders.connection import Address, connect
from loaders.errors import ServerError

SAMPLE_SECONDS = 1.0
BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's


@dataclass
class Disk:
    """What a run takes: its folder, and the server's whole data directory, temporary files and WAL included.

    Of a server whose files cannot be read from here, the database's size.
    """

    folder: Path
    address: Address

    @contextmanager
    def sampled(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Call `tell` with the bytes in a thread, at the beginning, every second or so, and at the end."""
        stop = threading.Event()

        def sample() -> None:
            with suppress(psycopg.Error, ServerError), connect(self.address) as connection:
                directory = _data_directory(connection, self.address)
                while True:
                    began = time.monotonic()
                    ended = stop.is_set()
                    server = tree_bytes(directory) if directory else _database_bytes(connection)
                    tell(tree_bytes(self.folder) + server)
                    if ended:
                        return
                    # A tree of many files takes a while: at most a twentieth of the time goes into looking.
                    stop.wait(max(SAMPLE_SECONDS, 20 * (time.monotonic() - began)))

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def tree_bytes(folder: Path) -> int:
    """Return what the files below `folder` take, as du counts."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # files come and go
                total += Path(path, name).lstat().st_blocks * BLOCK_BYTES
    return total


def _data_directory(connection: psycopg.Connection, address: Address) -> Path | None:
    if not address.is_local:
        return None
    with suppress(psycopg.errors.InsufficientPrivilege):
        [path] = connection.execute("select current_setting('data_directory')").fetchone() or ("",)
        if os.access(path, os.R_OK | os.X_OK):
            return Path(path)
    return None


def _database_bytes(connection: psycopg.Connection) -> int:
    [size] = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
    return int(size)
