"""Landing: the files of one load, copied over several connections at once."""

import threading
from collections.abc import Sequence

import psycopg

from loaders.connection import Address, connect
from loaders.copying import Copier
from loaders.dealing import Dealer, Feed
from loaders.landing_file import LandingFile
from loaders.locks import lock_load
from loaders.progress import Progress
from loaders.raw_table import RawTable

CANCEL_SECONDS = 5.0


class Landing:
    """Copy the files of one load; `run` returns when every record is landed or rejected, or its file has failed."""

    def __init__(
        self,
        *,
        address: Address,
        table: RawTable,
        load_id: int,
        files: Sequence[LandingFile],
        workers: int,
        max_rejects: int,
        progress: Progress,
    ) -> None:
        self._address = address
        self._table = table
        self._load_id = load_id
        self._workers = workers
        self._max_rejects = max_rejects
        self._progress = progress
        self._dealer = Dealer(files, progress.advance)
        self._lock = threading.Lock()
        self._connections: list[psycopg.Connection] = []
        self._stop = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Land the files; on a failure or an interrupt stop every worker, then raise what came first."""
        threads = [threading.Thread(target=self._work, name=f"ingot-{number}") for number in range(self._workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._stop.set()
            self._cancel()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            raise
        finally:
            self._dealer.close()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            with connect(self._address, application_name="ingot load") as connection:
                with self._lock:
                    self._connections.append(connection)
                lock_load(connection, self._load_id)
                # Nothing waits for these commits: the one that completes the load is synchronous, and flushes them.
                connection.execute("set synchronous_commit = off")
                Copier(
                    connection,
                    Feed(self._dealer),
                    table=self._table,
                    load_id=self._load_id,
                    max_rejects=self._max_rejects,
                    stop=self._stop,
                    progress=self._progress,
                ).run()
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._stop.set()

    def _cancel(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            if not connection.closed:
                connection.cancel_safe(timeout=CANCEL_SECONDS)
