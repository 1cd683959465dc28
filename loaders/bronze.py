"""Bronze files: which there are, what identifies their content, their bytes uncompressed."""

import gzip
import json
import os
import stat
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import blake3
import zstandard

from loaders.errors import FileError

READ_BYTES = 1024**2
# They are part of a B-tree's entry, which holds 2.7 kB.
MAX_KEYS_BYTES = 2000
GZIP_MAGIC = b"\x1f\x8b"
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"


class Readable(Protocol):
    """The part of a binary file that a reader needs."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""


class StoredFile(Readable, Protocol):
    """An open file as it is stored, compressed or not."""

    def seek(self, position: int, /) -> int:
        """Go to a position."""

    def tell(self) -> int:
        """Return the position."""

    def close(self) -> None:
        """Close the file."""


class BronzeRoot(Protocol):
    """Where bronze files are; every method raises FileError or SettingError for what cannot be read."""

    def list_files(self, pattern: str) -> list["BronzeFile"]:
        """Return the files that match the glob, by path."""

    def find_file(self, path: str) -> "BronzeFile":
        """Return one file as it is now."""

    def open_file(self, path: str) -> StoredFile:
        """Open one file."""


@dataclass(frozen=True)
class BronzeFile:
    """A file under a bronze root, as it was found.

    `path` is relative to the root, with slashes; `etag` is an object store's. `digest` and `hive_keys` are empty until
    `identified`; together they are what the ledger knows a content by.
    """

    root: BronzeRoot
    path: str
    bytes: int
    modified_ns: int
    etag: str | None = None
    digest: str = ""
    hive_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """What identifies the content: its digest, with the hive keys."""
        return self.digest, frozenset(self.hive_keys.items())

    def identified(self) -> "BronzeFile":
        """Return the file with its digest and hive keys; FileError if it cannot be read, or its path cannot be kept."""
        return replace(self, hive_keys=hive_keys(self.path), digest=self._digest())

    def _digest(self) -> str:
        """Return the store's ETag and size, or the BLAKE3 digest of the stored bytes."""
        if self.etag is not None:
            return f"etag:{self.etag}:{self.bytes}"
        # On every core: nothing else can begin before the content is known.
        hasher = blake3.blake3(max_threads=blake3.blake3.AUTO)
        file = self.root.open_file(self.path)
        try:
            while data := file.read(READ_BYTES):
                hasher.update(data)
        except OSError as error:
            raise unreadable(self.path, error) from error
        finally:
            file.close()
        return str(hasher.hexdigest())

    def open(self) -> "OpenFile":
        """Open for reading, decompressed by what the first bytes say; FileError for what cannot be read."""
        return OpenFile(self.path, self.root.open_file(self.path))

    def check_unchanged(self) -> None:
        """Raise FileError if the file is no longer the one that was listed."""
        now = self.root.find_file(self.path)
        # A store lists times less exactly than it gives them for one object.
        is_same = now.etag == self.etag if self.etag else now.modified_ns == self.modified_ns
        if now.bytes != self.bytes or not is_same:
            raise FileError(f"{self.path} changed while it was landed. Bronze is immutable: write a new file instead.")


class OpenFile:
    """An open bronze file as a stream of uncompressed bytes."""

    def __init__(self, path: str, file: StoredFile) -> None:
        self._path = path
        self._file = file
        self._stream: Readable = file
        try:
            magic = file.read(4)
            file.seek(0)
        except OSError as error:
            file.close()
            raise unreadable(path, error) from error
        if magic.startswith(GZIP_MAGIC):
            self._stream = gzip.GzipFile(fileobj=file, mode="rb")
        elif magic == ZSTANDARD_MAGIC:
            # It reads, and asks for no more of a file.
            self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)  # type: ignore[arg-type]

    def read(self, size: int, /) -> bytes:
        """Return up to `size` uncompressed bytes; FileError where the compressed data is damaged."""
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise FileError(f"{self._path}: damaged compressed data ({error}). Fetch or export it again.") from error
        except OSError as error:
            raise unreadable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def position(self) -> int:
        """How many stored bytes have been read."""
        return self._file.tell()


@dataclass(frozen=True)
class Folder:
    """A bronze root on disk."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def list_files(self, pattern: str) -> list[BronzeFile]:
        """Return the files that match the glob, by path."""
        found: list[BronzeFile] = []
        for location in self.path.glob(pattern):
            # A file that goes away in between is not there.
            with suppress(FileNotFoundError):
                status = location.stat()
                if stat.S_ISREG(status.st_mode):
                    path = location.relative_to(self.path).as_posix()
                    found.append(BronzeFile(self, path, status.st_size, status.st_mtime_ns))
        return sorted(found, key=lambda file: file.path)

    def find_file(self, path: str) -> BronzeFile:
        """Return one file as it is now."""
        try:
            status = (self.path / path).stat()
        except OSError as error:
            raise unreadable(path, error) from error
        return BronzeFile(self, path, status.st_size, status.st_mtime_ns)

    def open_file(self, path: str) -> StoredFile:
        """Open one file."""
        try:
            return (self.path / path).open("rb", buffering=0)
        except OSError as error:
            raise unreadable(path, error) from error


def bronze_location(environ: Mapping[str, str] = os.environ) -> str:
    """Return BRONZE_ROOT as it is written, data/bronze where it is unset."""
    return environ.get("BRONZE_ROOT") or "data/bronze"


def hive_keys(path: str) -> dict[str, str]:
    """Return the key=value folders of a path: {"entity": "members", "ingestion_date": "2026-01-11"}.

    FileError for a path, or a value in it, that the ledger cannot keep: not UTF-8, or with a NUL.
    """
    try:
        path.encode()
        folders = [folder.partition("=") for folder in path.split("/")[:-1] if "=" in folder]
        keys = {key: unquote(value, errors="strict") for key, _, value in folders}
    except UnicodeError as error:
        raise FileError(f"{printable(path)}: its path is not UTF-8. Rename it.") from error
    if any("\0" in value for value in keys.values()):
        raise FileError(f"{path}: a NUL (%00) stands in its path. Rename its folder.")
    if len(json.dumps(keys)) > MAX_KEYS_BYTES:
        raise FileError(f"{path}: its key=value folders are over {MAX_KEYS_BYTES:,} bytes long. Shorten them.")
    return keys


def printable(path: str) -> str:
    """Return a path with what is not UTF-8 in it as escapes."""
    return path.encode(errors="backslashreplace").decode()


def unreadable(path: str, error: Exception) -> FileError:
    """Return the error for a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return FileError(f"{printable(path)} cannot be read: {reason.rstrip('.')}. Mend it or remove it, then load again.")
