"""Loading one source table: a run over it, tried again where an error is temporary."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg

from loaders.bronze import BronzeFile, BronzeRoot
from loaders.connection import Address, connect, was_reached
from loaders.deliveries import Manifests, newest_delivery, whole_runs
from loaders.discovery import FailedFiles, new_files
from loaders.distribution import is_cluster
from loaders.errors import FileError, LoadError
from loaders.ledger import Ledger
from loaders.ledger_files import KnownFile, known_files
from loaders.ledger_version import check_version, create_ledger
from loaders.load_report import LoadOptions, LoadResult, TableReport
from loaders.locks import lock_table
from loaders.progress import Progress
from loaders.raw_columns import RawColumns
from loaders.restore import PrunedLoad, pruned_loads
from loaders.retired_segments import drop_retired
from loaders.retry import Retries, is_temporary
from loaders.sources import SourceTable
from loaders.table_run import TableRun

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

    def pending(self) -> TableReport:
        """Say which files a load would land, and land none."""
        report = TableReport(self.source.name)
        listed = self._list_files(report)
        with connect(self._address) as connection:
            is_new = not check_version(connection) or self._options.full_refresh
            known = [] if is_new else known_files(connection, self.source.raw_table)
            listed = self._whole(listed, known, report)
            report.pending = [new.path for new in new_files(self.source, listed, known, self._failed, report)]
        return report

    def run(self, on_load: Callable[[LoadResult], None]) -> TableReport:
        """Land every new file, in loads of `batch_files`; `on_load` hears of each load as it completes.

        Temporary errors retry the whole load, after what it left is undone.
        """
        report = TableReport(self.source.name)

        def completed(result: LoadResult) -> None:
            retries.progress()
            on_load(result)

        retries = Retries(
            self._options.retry_seconds,
            is_temporary=self._is_temporary,
            say=lambda error, wait: self._say_retry(report, error, wait),
        )
        for attempt in retries:
            with attempt:
                self._run_once(report, completed)
        return report

    def _run_once(self, report: TableReport, on_load: Callable[[LoadResult], None]) -> None:
        report.begin_attempt()
        # Before anything is changed: a full refresh of what cannot be listed is none.
        listed = self._list_files(report)
        with connect(self._address) as connection:
            is_cluster(connection)  # no worker of one
            create_ledger(connection)
            try:
                with lock_table(connection, self.source.raw_table, alone=self._is_alone):
                    self._run_locked(connection, listed, report, on_load)
            except LoadError as error:
                report.problems.append(error)

    def _run_locked(
        self,
        connection: psycopg.Connection,
        listed: list[BronzeFile],
        report: TableReport,
        on_load: Callable[[LoadResult], None],
    ) -> None:
        table = self.source.raw_table
        ledger = Ledger(connection, table)
        report.undone += ledger.undo_interrupted()
        report.left = drop_retired(connection, table, seconds=0)
        options = self._options
        pruned = pruned_loads(connection, table, since=options.since) if options.restore else []
        if pruned:
            # What was accepted then is now.
            most = max(load.rejected for load in pruned)
            options = replace(options, max_rejects=max(options.max_rejects, most))
        run = TableRun(
            self.source,
            connection,
            address=self._address,
            options=options,
            failed=self._failed,
            is_temporary=self._is_temporary,
            progress=self._progress,
            report=report,
        )
        # Described columns are there before the first file, so that a staging view can be built.
        RawColumns(self.source, connection).create({name: name for name in self.source.columns})
        bronze = self.source.bronze
        if options.restore:
            report.restores = True
            self._restore(run, pruned, report, on_load)
        elif bronze.delivers == "full" and (listed or not self._must_refresh):
            delivery = newest_delivery(Manifests.of(self._root, self.source), listed)
            is_landed = run.land_newest(delivery, on_load)
            self._must_refresh = self._must_refresh and not is_landed
            report.left = drop_retired(connection, table, seconds=DROP_SECONDS)
        elif not self._must_refresh:
            run.land_new(self._whole(listed, known_files(connection, table), report), on_load)
            if self._options.remove_missing and bronze.delivers == "partitions":
                run.remove_missing(listed)
        elif whole := self._whole(listed, [], report):
            gone = run.missing(listed)
            self._must_refresh = not run.refresh(whole, on_load)
            report.removed = 0 if self._must_refresh else len(gone)
            report.left = drop_retired(connection, table, seconds=DROP_SECONDS)
        elif known_files(connection, table):
            raise LoadError(
                f"{self.source.name}: no file matches {self._root}/{self.source.bronze.path}, so the full refresh has "
                "changed nothing. Set BRONZE_ROOT, or discard the loads."
            )

    def _restore(
        self, run: TableRun, pruned: list[PrunedLoad], report: TableReport, on_load: Callable[[LoadResult], None]
    ) -> None:
        """Land each pruned load again; one whose files bronze does not hold as they were does not keep the others."""
        for load in pruned:
            try:
                run.restore(load, load.find_files(self._root), on_load)
            except FileError as error:
                report.problems.append(FileError(f"{self.source.name}: load {load.load_id} stays pruned: {error}"))

    @property
    def _is_alone(self) -> bool:
        return self._must_refresh or self._options.restore or self.source.bronze.delivers == "full"

    def _list_files(self, report: TableReport) -> list[BronzeFile]:
        listed = self._root.list_files(self.source.bronze.path)
        report.found = len(listed)
        return listed

    def _whole(self, listed: list[BronzeFile], known: Sequence[KnownFile], report: TableReport) -> list[BronzeFile]:
        """Return the files of whole runs, and report the others."""
        runs = whole_runs(self._root, self.source, listed, {file.path for file in known if file.is_landed})
        report.unfinished = runs.unfinished
        report.problems += runs.problems
        return runs.files

    def _is_temporary(self, error: BaseException) -> bool:
        return is_temporary(error, was_reached=was_reached(self._address))

    def _say_retry(self, report: TableReport, error: BaseException, wait: float) -> None:
        reason = " ".join(str(error).split())
        report.retries.append(reason)
        print(f"{self.source.name}: {reason}: trying again in {wait:.1f} s", file=sys.stderr)
