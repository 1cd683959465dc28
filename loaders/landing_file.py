"""A bronze file on its way into a raw table."""

import threading
from dataclasses import dataclass, field

from loaders.bronze import BronzeFile
from loaders.cutting import Lineage
from loaders.errors import FileError


@dataclass(eq=False, kw_only=True)
class LandingFile:
    """A file to land: found to be new, then claimed, then counted.

    `columns` are the header's, `quote` the byte inside a pair of which a newline ends no record. Where its path held
    another content, `has_changed`, and `replaced_file_id` is that content's file if this one was landed before it. The
    claim sets `file_id`, `lineage` and `statement`; workers count under `lock`, and set `error` where the file fails.
    """

    file: BronzeFile
    columns: tuple[str, ...]
    quote: bytes | None
    has_header: bool
    has_changed: bool = False
    replaced_file_id: int | None = None
    file_id: int = 0
    lineage: Lineage = field(default=Lineage(b" "))
    statement: bytes = b""
    records: int = 0
    rejected: int = 0
    error: FileError | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> str:
        """The path under the bronze root."""
        return self.file.path

    def fail(self, error: FileError) -> None:
        """Let go of the file for what is wrong with it; the first error stays."""
        self.error = self.error or error
