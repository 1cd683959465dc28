"""One run over one raw table: its new files landed in loads, or all of it anew."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

import psycopg

from loaders.bronze import BronzeFile
from loaders.connection import Address
from loaders.deliveries import delivery_of
from loaders.discovery import FailedFiles, new_files
from loaders.distribution import COUNT_SECONDS, is_cluster, wait_for_commits, wait_for_rows
from loaders.errors import LoadError
from loaders.landing import Landing
from loaders.landing_file import LandingFile
from loaders.ledger import Claim, Ledger
from loaders.ledger_files import KnownFile, count_files, known_files
from loaders.load_report import LoadOptions, LoadResult, TableReport
from loaders.locks import exclusive_ddl, unlock_load
from loaders.progress import Progress
from loaders.raw_columns import RawColumns
from loaders.restore import PrunedLoad, complete_restore
from loaders.retired_segments import drop_retired
from loaders.segments import open_segment
from loaders.sources import SourceTable

# How long what failed waits to be dropped; the next run drops what is left.
DROP_SECONDS = 1.0
# How long a failed load waits for the nodes of a cluster before it is undone; else the next run undoes it.
UNDO_SECONDS = 10.0


class TableRun:
    """A run over the table of `source`, over one connection that holds its lock; `report` hears what was done."""

    def __init__(
        self,
        source: SourceTable,
        connection: psycopg.Connection,
        *,
        address: Address,
        options: LoadOptions,
        failed: FailedFiles,
        is_temporary: Callable[[BaseException], bool],
        progress: Progress,
        report: TableReport,
    ) -> None:
        self._source = source
        self._connection = connection
        self._table = source.raw_table
        self._format = source.bronze.copy_format
        self._ledger = Ledger(connection, self._table)
        self._columns = RawColumns(source, connection)
        self._address = address
        self._options = options
        self._failed = failed
        self._is_temporary = is_temporary
        self._progress = progress
        self._report = report

    def land_new(self, listed: Sequence[BronzeFile], on_load: Callable[[LoadResult], None]) -> None:
        """Land the files that are new, in loads of `batch_files`; each load, and each file, succeeds or fails alone.

        Where the source delivers partitions, new content of a path replaces the rows of the old one, and one failed
        file fails its load.
        """
        keeps_order = self._options.rewritten
        replaces = keeps_order or self._source.bronze.delivers == "partitions"
        for batch in self._batches(listed, full_refresh=False):
            claim = self._claim(batch, full_refresh=False, is_first=False)
            if claim is not None:
                self._land(
                    claim,
                    lambda claim: self._ledger.complete(
                        claim.load_id, claim.files, replaces=replaces, keeps_order=keeps_order
                    ),
                    on_load,
                    is_whole=replaces,
                )

    def restore(self, pruned: PrunedLoad, files: Sequence[BronzeFile], on_load: Callable[[LoadResult], None]) -> None:
        """Land the files of a pruned load again, by a load that takes its place; FileError for changed content."""
        new = list(new_files(self._source, files, [], self._failed, self._report))
        pruned.check_unchanged(new)
        new = self._widen(new)
        claim = self._claim(new, full_refresh=True, is_first=False) if len(new) == len(files) else None
        if claim is not None:
            self._land(
                claim,
                lambda claim: complete_restore(self._connection, pruned, claim),
                on_load,
                is_whole=True,
            )

    def _land(
        self,
        claim: Claim,
        complete: Callable[[Claim], int | None],
        on_load: Callable[[LoadResult], None],
        *,
        is_whole: bool,
    ) -> None:
        """Copy a load and complete it, which returns how many files it replaced; one failed file fails a whole one."""
        load_id, files = claim.load_id, claim.files
        started = time.perf_counter()
        try:
            self._copy(claim)
            if is_whole:
                self._check_all_landed(files)
            self._report.replaced += complete(claim) or 0
        except BaseException as error:
            self._undo([load_id], str(error) or type(error).__name__, full_refresh=False)
            if not self._is_final(error):
                raise
            self._report.problems.append(self._load_error(f"load {load_id}", "nothing of it is visible", error))
            for file in files:
                self._failed.add(file.file)
            return
        self._add_problems(files)
        if any(file.error is None for file in files):
            result = self._result(load_id, files, started)
            self._report.loads.append(result)
            on_load(result)

    def _check_all_landed(self, files: Sequence[LandingFile]) -> None:
        if any(file.error is not None for file in files):
            self._add_problems(files)
            raise LoadError("one of its files failed, and what replaces rows lands whole or not at all.")

    def land_newest(self, delivery: Sequence[BronzeFile], on_load: Callable[[LoadResult], None]) -> bool:
        """Replace the table by a delivery, unless it holds that or a newer one; False if that failed."""
        landed = self._landed()
        if not delivery or (landed and delivery_of(delivery[0].path) < max(map(delivery_of, landed))):
            return True
        new = list(new_files(self._source, delivery, list(landed.values()), self._failed, self._report))
        if not new and landed.keys() <= {file.path for file in delivery}:
            return not self._report.problems
        self._report.skipped = 0
        if not self.refresh(delivery, on_load):
            return False
        self._report.replaced += len(landed)
        return True

    def _landed(self) -> dict[str, KnownFile]:
        """Return the landed files by path."""
        return {file.path: file for file in known_files(self._connection, self._table) if file.is_landed}

    def missing(self, listed: Sequence[BronzeFile]) -> set[str]:
        """Return the paths of landed files that bronze no longer has."""
        return self._landed().keys() - {file.path for file in listed}

    def remove_missing(self, listed: Sequence[BronzeFile]) -> None:
        """Take the rows of files that bronze no longer has away."""
        gone = self.missing(listed)
        if gone and not listed:
            raise LoadError(f"{self._source.name}: bronze holds no file at all: nothing was removed. Set BRONZE_ROOT.")
        while gone:
            with exclusive_ddl(self._connection):
                open_segment(self._connection, self._table)
            # Other loaders may have filled the segment in between.
            with suppress(LookupError):
                self._report.removed += self._ledger.remove_files(sorted(gone))
                return

    def refresh(self, listed: Sequence[BronzeFile], on_load: Callable[[LoadResult], None]) -> bool:
        """Land all files anew, then replace the old rows by them; False if one failed, and nothing has changed."""
        results: list[LoadResult] = []
        load_ids: list[int] = []
        try:
            for batch in self._batches(listed, full_refresh=True):
                started = time.perf_counter()
                claim = self._claim(batch, full_refresh=True, is_first=not load_ids)
                if claim is not None:
                    load_ids.append(claim.load_id)
                    self._copy(claim)
                    self._add_problems(claim.files)
                    results.append(self._result(claim.load_id, claim.files, started))
                    with self._connection.transaction():
                        count_files(self._connection, claim.load_id, claim.files)
                if self._report.problems:
                    break
            if self._report.problems or not load_ids:
                self._undo(load_ids, "full refresh failed", full_refresh=True)
                self._report.problems.append(
                    LoadError(f"{self._source.name}: the full refresh failed, and nothing has changed. Fix its files.")
                )
                return False
            self._ledger.complete_refresh(load_ids)
        except BaseException as error:
            self._undo(load_ids, str(error) or type(error).__name__, full_refresh=True)
            if not self._is_final(error):
                raise
            self._report.problems.append(self._load_error("the full refresh", "nothing has changed", error))
            return False
        for result in results:
            self._report.loads.append(result)
            on_load(result)
        return True

    def _batches(self, listed: Sequence[BronzeFile], *, full_refresh: bool) -> Iterator[list[LandingFile]]:
        """Yield the new files, whose columns the table has by now, so many at a time."""
        known = known_files(self._connection, self._table)
        self._report.has_rows = any(file.is_landed for file in known)
        known = [] if full_refresh else known
        new = new_files(self._source, listed, known, self._failed, self._report)
        while batch := list(islice(new, self._options.batch_files)):
            self._report.changed += [file.path for file in batch if file.has_changed]
            yield self._widen(batch)

    def _widen(self, batch: Sequence[LandingFile]) -> list[LandingFile]:
        """Add the columns of the files to the table; return the files whose columns it can have."""
        self._columns.widen(batch, self._report)
        self._add_problems(batch)
        return [file for file in batch if file.error is None]

    def _claim(self, files: list[LandingFile], *, full_refresh: bool, is_first: bool) -> Claim | None:
        """Claim the files for a load, in a segment with room; None if other loaders have claimed all of them."""
        claim: Claim | None = None
        is_new = full_refresh and is_first
        while files:
            with exclusive_ddl(self._connection):
                open_segment(self._connection, self._table, new=is_new)
            try:
                claim = self._ledger.claim(files, full_refresh=full_refresh)
                break
            except LookupError:  # other loaders have filled it in between
                is_new = False
        self._report.skipped += len(files) - (len(claim.files) if claim else 0)
        return claim

    def _copy(self, claim: Claim) -> None:
        """Copy the files of a load; those that fail have an error then."""
        # Into the segment itself: through the raw table it takes 1.02 of the server's time.
        statements = {
            names: self._format.copy_statement(claim.segment, names).as_bytes(self._connection)
            for names in {tuple(file.columns) for file in claim.files}
        }
        for file in claim.files:
            file.statement = statements[tuple(file.columns)]
            file.lineage = self._format.lineage(claim.load_id, file.file_id)
        self._progress.begin(self._source.name, sum(file.file.bytes for file in claim.files))
        Landing(
            address=self._address,
            table=self._table,
            load_id=claim.load_id,
            files=claim.files,
            workers=self._options.workers,
            max_rejects=self._options.max_rejects,
            progress=self._progress,
        ).run()
        if is_cluster(self._connection):
            rows = {file.file_id: file.records for file in claim.files if file.error is None}
            if len(rows) < len(claim.files):
                # What is to be deleted has to be seen, too.
                wait_for_commits(self._connection, seconds=COUNT_SECONDS)
            wait_for_rows(self._connection, self._table.identifier, claim.load_id, rows)

    def _undo(self, load_ids: list[int], reason: str, *, full_refresh: bool) -> None:
        self._progress.end()
        # A server or a node that is gone cannot be asked to clean up: the next run does.
        with suppress(psycopg.Error, LoadError):
            self._ledger.undo(load_ids, " ".join(reason.split()), full_refresh=full_refresh, seconds=UNDO_SECONDS)
            for load_id in load_ids:
                unlock_load(self._connection, load_id)
            drop_retired(self._connection, self._table, seconds=DROP_SECONDS)

    def _is_final(self, error: BaseException) -> bool:
        """Tell whether a load has failed for good: what is temporary is tried again, an interrupt goes on."""
        return isinstance(error, LoadError) or (isinstance(error, psycopg.Error) and not self._is_temporary(error))

    def _load_error(self, what: str, consequence: str, error: BaseException) -> LoadError:
        said = " ".join(str(error).split())
        remedy = "" if isinstance(error, LoadError) else " See to the server, then load again."
        return LoadError(f"{self._source.name}: {what} failed, and {consequence}: {said}{remedy}")

    def _add_problems(self, files: Sequence[LandingFile]) -> None:
        for file in files:
            if file.error is not None:
                self._failed.add(file.file)
                self._report.problems.append(type(file.error)(f"{self._source.name}: {file.error}"))

    def _result(self, load_id: int, files: Sequence[LandingFile], started: float) -> LoadResult:
        landed = [file for file in files if file.error is None]
        return LoadResult(
            source=self._source.name,
            load_id=load_id,
            files=len(landed),
            records=sum(file.records for file in landed),
            rejected=sum(file.rejected for file in landed),
            rewritten=sum(file.rewritten for file in landed),
            bytes=sum(file.file.bytes for file in landed),
            seconds=time.perf_counter() - started,
            phases=self._progress.end(),
        )
