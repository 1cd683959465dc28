"""A load from end to end: new files found, claimed, landed, made complete, or undone."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from loaders.blocks import BlockReader
from loaders.bronze import BronzeFile, BronzeRoot
from loaders.connection import Address, connect
from loaders.errors import FileError, LoaderError, LoadError, ServerError
from loaders.landing import Landing, LandingFile
from loaders.ledger import Claim, FileIdentity, KnownFile, Ledger
from loaders.progress import Progress
from loaders.raw_table import (
    RawTable,
    columns_of,
    copy_statement,
    create_or_widen,
    delimiter,
    raw_table,
    record_quote,
)
from loaders.segments import open_segment
from loaders.sources import SourceTable

# What "come back later" looks like: connection lost (08), shutdown or start (57P), read-only while failing over, too
# many connections, and a transaction that lost to another (40001, 40P01).
TEMPORARY_CLASSES = ("08",)
TEMPORARY_STATES = ("25006", "53300", "40001", "40P01")
ATTEMPTS = 8
MAX_WAIT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What the command line says of a load; `max_rejects` is per load."""

    workers: int = 2
    batch_files: int = 1000
    max_rejects: int = 0
    full_refresh: bool = False


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """A complete load: stored bytes, records landed and rejected, seconds from the claim to the last commit."""

    source: str
    load_id: int
    files: int
    records: int
    rejected: int
    bytes: int
    seconds: float

    @property
    def records_per_second(self) -> float:
        """Records landed a second."""
        return self.records / self.seconds


@dataclass
class TableReport:
    """What a run did with one source table; `problems` are the errors of the files and loads that failed."""

    source: str
    found: int = 0
    loads: list[LoadResult] = field(default_factory=list)
    skipped: int = 0
    pending: list[str] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    problems: list[LoaderError] = field(default_factory=list)


@dataclass(frozen=True)
class _NewFile:
    """A file whose content the ledger does not know, with the columns of its header."""

    file: BronzeFile
    identity: FileIdentity
    columns: tuple[str, ...]


class TableLoader:
    """Land the new files of one source table."""

    def __init__(
        self, source: SourceTable, *, root: BronzeRoot, address: Address, options: LoadOptions, progress: Progress
    ) -> None:
        self.source = source
        self._table: RawTable = raw_table(source)
        self._root = root
        self._address = address
        self._options = options
        self._progress = progress
        self._must_truncate = options.full_refresh
        self._has_connected = False

    def pending(self) -> TableReport:
        """Say which files a load would land, and land none."""
        report = TableReport(self.source.name)
        with connect(self._address) as connection:
            ledger = Ledger(connection)
            known = ledger.known_files(self._table) if ledger.exists() and not self._options.full_refresh else []
            report.pending = [new.file.path for new in self._new_files(known, report)]
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
        report.found = report.skipped = 0
        with connect(self._address) as connection:
            self._has_connected = True
            ledger = Ledger(connection)
            ledger.create()
            with ledger.use_table(self._table, alone=self._must_truncate):
                report.undone += ledger.undo_interrupted(self._table)
                if self._must_truncate:
                    ledger.discard_all(self._table)
                    self._must_truncate = False
                with ledger.exclusive_ddl():
                    # Those that are described, so that a staging view can be built before the first file is there.
                    create_or_widen(connection, self.source, self.source.columns)
                new = self._new_files(ledger.known_files(self._table), report)
                while batch := list(islice(new, self._options.batch_files)):
                    try:
                        result = self._load(ledger, connection, batch, report)
                    except LoadError as error:
                        report.problems.append(error)
                    else:
                        if result is not None:
                            report.loads.append(result)
                            on_load(result)

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

    def _new_files(self, known: Sequence[KnownFile], report: TableReport) -> Iterator[_NewFile]:
        """Yield the files whose content is not known; those that cannot be read become problems of the report."""
        # The last one of each path. What has its size and time of change is not read again, as rsync does it.
        last = {file.path: file for file in known}
        landed = {file.content for file in known}
        for file in self._root.list_files(self.source.bronze.path):
            report.found += 1
            before = last.get(file.path)
            if before is not None and (before.bytes, before.modified_ns) == (file.bytes, file.modified_ns):
                report.skipped += 1
                continue
            try:
                digest = file.digest()
                content = (digest, frozenset(file.hive_keys.items()))
                is_redelivered = before is not None and before.content != content
                if content in landed and not is_redelivered:
                    report.skipped += 1
                    continue
                columns = self._columns(file)
            except FileError as error:
                report.problems.append(FileError(f"{self.source.name}: {error}"))
                continue
            identity = FileIdentity(
                path=file.path,
                hive_keys=file.hive_keys,
                bytes=file.bytes,
                modified_ns=file.modified_ns,
                digest=digest,
                replaced_file_id=before.file_id if before is not None and content in landed else None,
            )
            landed.add(content)
            yield _NewFile(file, identity, columns)

    def _columns(self, file: BronzeFile) -> tuple[str, ...]:
        with closing(file.open()) as stream:
            reader = BlockReader(stream, quote=record_quote(self.source.bronze))
            header = reader.read_header() if self.source.bronze.format == "csv" else b""
        return columns_of(self.source, header, file.path)

    def _load(
        self, ledger: Ledger, connection: psycopg.Connection, batch: Sequence[_NewFile], report: TableReport
    ) -> LoadResult | None:
        """Land one batch; None if other loaders have claimed all of it. LoadError if it failed and was undone."""
        started = time.perf_counter()
        columns = list(dict.fromkeys(column for new in batch for column in new.columns))
        with ledger.exclusive_ddl():
            create_or_widen(connection, self.source, columns)
            open_segment(connection, self._table)
        claim = ledger.claim(self._table, [new.identity for new in batch])
        claimed = [] if claim is None else [new for new in batch if new.file.path in claim.file_ids]
        report.skipped += len(batch) - len(claimed)
        if claim is None:
            return None
        try:
            stored_bytes = sum(new.file.bytes for new in claimed)
            self._progress.begin(self.source.name, stored_bytes)
            counts = Landing(
                address=self._address,
                table=self._table,
                load_id=claim.load_id,
                files=self._landing_files(connection, claim, claimed),
                workers=self._options.workers,
                max_rejects=self._options.max_rejects,
                progress=self._progress,
            ).run()
            ledger.complete(claim.load_id, counts)
        except BaseException as error:
            # A server that is gone cannot be asked to clean up: the next run does.
            with suppress(psycopg.Error):
                ledger.undo(self._table, claim.load_id, "failed", str(error) or type(error).__name__)
            if isinstance(error, FileError) or (isinstance(error, psycopg.Error) and not self._passes(error)):
                raise self._failed(claim.load_id, error) from error
            raise
        return LoadResult(
            source=self.source.name,
            load_id=claim.load_id,
            files=len(claimed),
            records=sum(count.records for count in counts),
            rejected=sum(count.rejected for count in counts),
            bytes=stored_bytes,
            seconds=time.perf_counter() - started,
        )

    def _failed(self, load_id: int, error: Exception) -> LoadError:
        said = " ".join(str(error).split())
        remedy = "" if isinstance(error, FileError) else " See to the server, then load again."
        return LoadError(f"{self.source.name}: load {load_id} failed, and nothing of it is visible: {said}{remedy}")

    def _landing_files(
        self, connection: psycopg.Connection, claim: Claim, claimed: Sequence[_NewFile]
    ) -> list[LandingFile]:
        statements = {
            columns: copy_statement(self.source, columns).as_bytes(connection)
            for columns in {new.columns for new in claimed}
        }
        between = delimiter(self.source.bronze)
        return [
            LandingFile(
                file=new.file,
                file_id=(file_id := claim.file_ids[new.file.path]),
                statement=statements[new.columns],
                prefix=f"{claim.load_id}{between}{file_id}{between}".encode(),
                number_delimiter=between.encode() if self.source.bronze.record_number else None,
                quote=record_quote(self.source.bronze),
                has_header=self.source.bronze.format == "csv",
            )
            for new in claimed
        ]
