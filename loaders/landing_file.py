"""A bronze file on its way into a raw table."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from loaders.bronze import BronzeFile
from loaders.copy_format import CopyFormat
from loaders.csv_reader import Dialect
from loaders.cutting import Lineage
from loaders.errors import FileError
from loaders.open_file import RecordStream


@dataclass(eq=False, kw_only=True)
class LandingFile:
    """A file to land: found to be new, then claimed, then counted.

    `columns` are the header's, each with the field that it is named for, `added` and `missing` compared with the
    table's; records begin at `data_offset`. Where its path held another content, `has_changed`, and `replaced_file_id`
    is that content's file if this one was landed before it. The claim sets `file_id`, `lineage` and `statement`;
    workers count under `lock`, and set `error` where the file fails. `rewritten` counts records whose quotes COPY would
    have misread.
    """

    file: BronzeFile
    copy_format: CopyFormat
    columns: Mapping[str, str]
    data_offset: int = 0
    added: Collection[str] = ()
    missing: Collection[str] = ()
    has_changed: bool = False
    replaced_file_id: int | None = None
    file_id: int = 0
    lineage: Lineage = field(default=Lineage(b" "))
    statement: bytes = b""
    records: int = 0
    rejected: int = 0
    rewritten: int = 0
    error: FileError | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> str:
        """The path under the bronze root."""
        return self.file.path

    @cached_property
    def dialect(self) -> Dialect | None:
        """How its records are read, None where every newline ends one."""
        return self.copy_format.dialect(len(self.columns))

    def open(self) -> RecordStream:
        """Open the file as the bytes that its records are cut from."""
        return open_bronze(self.file, self.copy_format)

    def fail(self, error: FileError) -> None:
        """Let go of the file for what is wrong with it; the first error stays."""
        self.error = self.error or error


def open_bronze(file: BronzeFile, copy_format: CopyFormat) -> RecordStream:
    """Open a file as its source's format says; FileError for what cannot be read."""
    encoding = copy_format.encoding
    codec = encoding.codec if encoding is not None and encoding.is_rewritten else None
    return file.open(copy_format.kind, codec)
