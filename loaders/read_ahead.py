"""Small objects fetched before they are asked for, several at a time: else each costs the store's latency."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from loaders.bronze import BronzeFile

# One request each, whole; longer ones are streamed.
SMALL_BYTES = 1024**2
# What is held in memory at most, in how many objects, and how many requests are under way.
HELD_BYTES = 4 * 1024**2
HELD_OBJECTS = 32
REQUESTS = 16


@dataclass(frozen=True)
class Fetched:
    """An object's content, and the object as it was then."""

    data: bytes
    file: BronzeFile


class ReadAhead:
    """Fetches by `get` what `expect` announces, which is taken in about that order; for several threads."""

    def __init__(self, get: Callable[[str], Fetched]) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(REQUESTS, "ingot-ahead")
        self._expected: deque[BronzeFile] = deque()
        self._under_way: dict[str, tuple[int, Future[Fetched]]] = {}
        self._held = 0

    def expect(self, files: Sequence[BronzeFile]) -> None:
        """Announce the files that are opened next, in place of what was announced before."""
        with self._lock:
            for _, future in self._under_way.values():
                future.cancel()
            self._under_way.clear()
            self._held = 0
            self._expected = deque(file for file in files if file.bytes <= SMALL_BYTES)
            self._start()

    def take(self, path: str) -> Fetched | None:
        """Return what was fetched, once, waiting for it where it is under way; None for what is not."""
        with self._lock:
            size, future = self._under_way.pop(path, (0, None))
        if future is None:
            return None
        try:
            return future.result()
        finally:
            with self._lock:
                self._held -= size
                self._start()

    def _start(self) -> None:
        while self._expected and len(self._under_way) < HELD_OBJECTS:
            file = self._expected[0]
            if self._under_way and self._held + file.bytes > HELD_BYTES:
                return
            self._expected.popleft()
            self._held += file.bytes
            self._under_way[file.path] = file.bytes, self._executor.submit(self._get, file.path)
