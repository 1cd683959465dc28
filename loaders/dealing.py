"""Dealing the files of a load to the workers that copy them.

Workers pull. Each takes a file that nobody has opened; when there is none left, it helps with one that is open. So
many small files are read and decompressed in parallel, one big file is shared, and memory holds one batch a worker:
there is no queue that could grow.
"""

import threading
from collections.abc import Callable, Iterator, Sequence

from loaders.block import BadRecord, Block
from loaders.blocks import BlockReader
from loaders.errors import FileError
from loaders.landing_file import LandingFile

# One COPY sends about this much. Less costs more COPYs (1 MiB: 1.2 times the time); more gains nothing.
COPY_BYTES = 4 * 1024**2


class Dealer:
    """The files of one load, dealt in their order."""

    def __init__(self, files: Sequence[LandingFile], on_read: Callable[[int], None]) -> None:
        self._on_read = on_read
        self._lock = threading.Lock()
        self._unopened = list(reversed(files))
        if files:
            files[0].file.root.read_ahead([file.file for file in files], to_land=True)
        self._opened: list[BlockReader] = []

    def take(self) -> BlockReader | None:
        """Return the reader of a file that nobody has opened, of an open one if there is none, None if all are read."""
        with self._lock:
            if self._unopened:
                self._opened.append(BlockReader(self._unopened.pop(), on_read=self._on_read))
                return self._opened[-1]
            return next((reader for reader in self._opened if not reader.is_exhausted), None)

    def close(self) -> None:
        """Close the files that were not read to their end."""
        for reader in self._opened:
            reader.close()


class Feed:
    """What one worker lands, read one piece ahead.

    The piece behind a COPY's last is cut before that COPY ends, while the server still works on what it was sent.
    """

    def __init__(self, dealer: Dealer) -> None:
        self._dealer = dealer
        self._reader: BlockReader | None = None
        self.ahead: Block | BadRecord | None = None
        self.advance()

    def advance(self) -> None:
        """Read the next piece, of the file at hand or of another; a file that cannot be read fails."""
        while (reader := self._reader or self._dealer.take()) is not None:
            try:
                self.ahead = reader.next()
            except FileError as error:
                reader.file.fail(error)
                reader.close()
                self.ahead = None
            self._reader = reader if self.ahead is not None else None
            if self.ahead is not None:
                return
        self.ahead = None

    def blocks(self, sent: list[Block]) -> Iterator[Block]:
        """Yield the blocks of one COPY, of one file or of several with equal columns; they are kept in `sent`."""
        size = 0
        while size < COPY_BYTES and isinstance(block := self.ahead, Block):
            if sent and block.file.statement != sent[0].file.statement:
                return
            sent.append(block)
            yield block
            size += len(block.data)
            self.advance()
