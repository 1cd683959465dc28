"""Progress of a load on standard error: a bar on a terminal, nothing elsewhere."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress:
    """Bytes read of a known total, and records landed; safe to call from several threads."""

    def __init__(self) -> None:
        self._bar = None
        self._task: TaskID | None = None
        self._records = 0
        self._lock = threading.Lock()
        if sys.stderr.isatty():
            # Imported where it shows: 0.1 s that a load in a pipeline does not pay.
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TextColumn("{task.fields[records]:,} records"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, description: str, total_bytes: int) -> None:
        """Begin a load of so many stored bytes."""
        self._records = 0
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(description, total=total_bytes, records=0)

    def advance(self, stored_bytes: int) -> None:
        """Count bytes read."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, stored_bytes)

    def landed(self, records: int) -> None:
        """Count records landed."""
        if self._bar is not None and self._task is not None:
            with self._lock:
                self._records += records
            self._bar.update(self._task, records=self._records)
