"""Loading one source table: a run over it, tried again where an error is temporary."""

import sys
from collections.abc import Callable

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from loaders.bronze import BronzeFile, BronzeRoot
from loaders.connection import Address, connect
from loaders.discovery import FailedFiles, new_files
from loaders.errors import LoadError, ServerError
from loaders.ledger import Ledger
from loaders.ledger_version import check_version, create_ledger
from loaders.load_report import LoadOptions, LoadResult, TableReport
from loaders.locks import lock_table
from loaders.progress import Progress
from loaders.segments import drop_retired
from loaders.sources import SourceTable
from loaders.table_run import TableRun

# What "come back later" looks like: connection lost (08), shutdown or start (57P), read-only while failing over, too
# many connections, and a transaction that lost to another (40001, 40P01).
TEMPORARY_CLASSES = ("08",)
TEMPORARY_STATES = ("25006", "53300", "40001", "40P01")
ATTEMPTS = 8
MAX_WAIT_SECONDS = 10.0
# How long a full refresh waits for the readers of the old rows; what they keep is dropped by a later run.
DROP_SECONDS = 10.0


class TableLoader:
    """Land the new files of one source table; `failed` are those that a watch lets rest."""

    def __init__(
        self,
        source: SourceTable,
        *,
        root: BronzeRoot,
        address: Address,
        options: LoadOptions,
        progress: Progress,
        failed: FailedFiles | None = None,
    ) -> None:
        self.source = source
        self._root = root
        self._address = address
        self._options = options
        self._progress = progress
        self._failed = failed or FailedFiles()
        self._must_refresh = options.full_refresh
        self._has_connected = False

    def pending(self) -> TableReport:
        """Say which files a load would land, and land none."""
        report = TableReport(self.source.name)
        listed = self._list_files(report)
        with connect(self._address) as connection:
            is_new = not check_version(connection) or self._options.full_refresh
            known = [] if is_new else Ledger(connection, self.source.raw_table).known_files()
            report.pending = [new.path for new in new_files(self.source, listed, known, self._failed, report)]
        return report

    def run(self, on_load: Callable[[LoadResult], None]) -> TableReport:
        """Land every new file, in loads of `batch_files`; `on_load` hears of each load as it completes.

        What fails for a reason that passes is done again, from its leftovers on: a load whole, after it was undone.
        """
        report = TableReport(self.source.name)
        for attempt in Retrying(
            retry=retry_if_exception(self._passes),
            wait=wait_random_exponential(multiplier=0.5, max=MAX_WAIT_SECONDS),
            stop=stop_after_attempt(ATTEMPTS),
            before_sleep=lambda state: self._say_retry(report, state),
            reraise=True,
        ):
            with attempt:
                self._run_once(report, on_load)
        return report

    def _run_once(self, report: TableReport, on_load: Callable[[LoadResult], None]) -> None:
        report.begin_attempt()
        # Before anything is changed: a full refresh of what cannot be listed is none.
        listed = self._list_files(report)
        table = self.source.raw_table
        with connect(self._address) as connection:
            self._has_connected = True
            create_ledger(connection)
            with lock_table(connection, table, alone=self._must_refresh):
                ledger = Ledger(connection, table)
                report.undone += ledger.undo_interrupted()
                report.left = drop_retired(connection, table, seconds=0)
                run = TableRun(
                    self.source,
                    connection,
                    address=self._address,
                    options=self._options,
                    failed=self._failed,
                    is_temporary=self._passes,
                    progress=self._progress,
                    report=report,
                )
                # Described columns are there before the first file, so that a staging view can be built.
                run.create_table({name: name for name in self.source.columns})
                if not self._must_refresh:
                    run.land_new(listed, on_load)
                elif listed:
                    self._must_refresh = not run.refresh(listed, on_load)
                    report.left = drop_retired(connection, table, seconds=DROP_SECONDS)
                elif ledger.known_files():
                    report.problems.append(
                        LoadError(
                            f"{self.source.name}: no file matches {self._root}/{self.source.bronze.path}, so the full "
                            "refresh has changed nothing. Set BRONZE_ROOT, or discard the loads."
                        )
                    )

    def _list_files(self, report: TableReport) -> list[BronzeFile]:
        listed = self._root.list_files(self.source.bronze.path)
        report.found = len(listed)
        return listed

    def _passes(self, error: BaseException) -> bool:
        """Tell whether to try again: a server that was reached and then was gone, restarting, full or in a deadlock."""
        if isinstance(error, ServerError):
            return self._has_connected
        if not isinstance(error, psycopg.Error):
            return False
        # libpq gives no SQLSTATE where the connection broke.
        state = error.sqlstate or ("08000" if isinstance(error, psycopg.OperationalError) else "")
        return state in TEMPORARY_STATES or state[:2] in TEMPORARY_CLASSES or state[:3] == "57P"

    def _say_retry(self, report: TableReport, state: RetryCallState) -> None:
        wait = 0.0 if state.next_action is None else state.next_action.sleep
        error = None if state.outcome is None else state.outcome.exception()
        reason = " ".join(str(error).split())
        report.retries.append(reason)
        print(f"{self.source.name}: {reason}: trying again in {wait:.1f} s", file=sys.stderr)
