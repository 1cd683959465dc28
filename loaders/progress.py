"""Progress of a load on standard error: a bar on a terminal, a line every few seconds elsewhere; seconds by phase."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

# How often a load without a terminal says where it is.
LINE_SECONDS = 5.0
# Reading and cutting files, sending records, waiting for the server to begin and to commit what was sent.
Phase = Literal["read", "copy", "wait"]


class Progress:
    """Bytes read of a known total, records landed, seconds by phase; safe to call from several threads."""

    def __init__(self, line_seconds: float = LINE_SECONDS) -> None:
        self._line_seconds = line_seconds
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lines: threading.Thread | None = None
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._description = ""
        self._began = 0.0
        self._total_bytes = self._bytes = self._records = 0
        self._seconds: dict[Phase, float] = {}
        if sys.stderr.isatty():
            self._bar = _bar()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        else:
            self._lines = threading.Thread(target=self._say_lines, name="ingot-progress", daemon=True)
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()
        if self._lines is not None:
            self._lines.join()

    def begin(self, description: str, total_bytes: int) -> None:
        """Begin a load of so many stored bytes."""
        with self._lock:
            self._description, self._began = description, time.monotonic()
            self._total_bytes, self._bytes, self._records = total_bytes, 0, 0
            self._seconds = {"read": 0.0, "copy": 0.0, "wait": 0.0}
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(description, total=total_bytes, records=0)

    def end(self) -> dict[Phase, float]:
        """End the load, and return the seconds of each phase, those of all workers added up."""
        with self._lock:
            self._description = ""
            return self._seconds

    def advance(self, stored_bytes: int) -> None:
        """Count bytes read."""
        with self._lock:
            self._bytes += stored_bytes
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, stored_bytes)

    def landed(self, records: int) -> None:
        """Count records landed."""
        with self._lock:
            self._records += records
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, records=self._records)

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Count the time of the body as one worker's in this phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - began

    def _say_lines(self) -> None:
        while not self._ended.wait(self._line_seconds):
            with self._lock:
                seconds = time.monotonic() - self._began
                line = (
                    f"{self._description}: {self._bytes / 1e6:,.1f} of {self._total_bytes / 1e6:,.1f} MB read, "
                    f"{self._records:,} records landed, {seconds:.0f} s"
                )
                is_loading = bool(self._description) and seconds >= self._line_seconds
            if is_loading:
                print(line, file=sys.stderr, flush=True)


def _bar() -> "Bar":
    # Imported where it shows: 0.1 s that a load in a pipeline does not pay.
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TextColumn("{task.fields[records]:,} records"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
