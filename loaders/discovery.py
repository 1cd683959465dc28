"""Which bronze files of a source are new."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from loaders.bronze import BronzeFile
from loaders.copy_format import JSONL_COLUMN
from loaders.errors import FileError
from loaders.first_record import read_first_record
from loaders.landing_file import LandingFile, open_bronze
from loaders.ledger_files import Content, KnownFile
from loaders.load_report import TableReport
from loaders.sources import SourceTable

# A file that failed is tried again when it has changed, or after these pauses.
FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0


@dataclass
class FailedFiles:
    """The files that failed while a loader watches, and when to try each again as it is."""

    clock: Callable[[], float] = time.monotonic
    _pauses: dict[tuple[str, int, int, str | None], tuple[float, float]] = field(default_factory=dict)

    def add(self, file: BronzeFile) -> None:
        """Keep a file that failed; each time it pauses for twice as long."""
        pause, _ = self._pauses.get(self._key(file), (FIRST_PAUSE_SECONDS / 2, 0.0))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._pauses[self._key(file)] = pause, self.clock() + pause

    def is_pausing(self, file: BronzeFile) -> bool:
        """Tell whether the file has failed as it is, and it is too early to try again."""
        _, until = self._pauses.get(self._key(file), (0.0, 0.0))
        return self.clock() < until

    @staticmethod
    def _key(file: BronzeFile) -> tuple[str, int, int, str | None]:
        return file.path, file.bytes, file.modified_ns, file.etag


def new_files(
    source: SourceTable,
    listed: Sequence[BronzeFile],
    known: Sequence[KnownFile],
    failed: FailedFiles,
    report: TableReport,
) -> Iterator[LandingFile]:
    """Yield the files to land; those that cannot be read become problems of the report.

    A content with its hive keys is landed once, and again where its path held another one in between.
    """
    # The last one of each path. What has its size and time of change is not read again, as rsync does it.
    last = {file.path: file for file in known if file.is_landed}
    landed: set[Content] = {file.content for file in known if file.is_landed}
    # Claimed by others, who may yet fail, or by this run.
    claimed: set[Content] = {file.content for file in known if not file.is_landed}
    for file in listed:
        before = last.get(file.path)
        if before is not None and (before.bytes, before.modified_ns) == (file.bytes, file.modified_ns):
            report.skipped += 1
            continue
        if failed.is_pausing(file):
            continue
        try:
            file = file.identified()
            has_changed = before is not None and before.content != file.content
            if file.content in claimed or (file.content in landed and not has_changed):
                report.skipped += 1
                continue
            new = _landing_file(source, file)
        except FileError as error:
            failed.add(file)
            report.problems.append(FileError(f"{source.name}: {error}"))
            continue
        if before is not None and has_changed:
            new.has_changed = True
            new.replaced_file_id = before.file_id if file.content in landed else None
        claimed.add(file.content)
        yield new


def _landing_file(source: SourceTable, file: BronzeFile) -> LandingFile:
    copy_format = source.bronze.copy_format
    # Opened in any case: what cannot be read is not claimed.
    with closing(open_bronze(file, copy_format)) as stream:
        if copy_format.is_json:
            return LandingFile(file=file, copy_format=copy_format, columns={JSONL_COLUMN: JSONL_COLUMN})
        first = read_first_record(stream, copy_format, file.path)
    columns = copy_format.columns(first.fields, file.path)
    return LandingFile(file=file, copy_format=copy_format, columns=columns, data_offset=first.data_offset)
