"""Bronze files: which there are, what identifies their content, their bytes uncompressed."""

import gzip
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import blake3
import zstandard

from loaders.blocks import Stream
from loaders.errors import FileError, SettingError

READ_BYTES = 1024**2
GZIP_MAGIC = b"\x1f\x8b"
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"


class StoredFile(Protocol):
    """An open file as it is stored, compressed or not."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""

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
    """A file under a bronze root; `path` is relative to it, with slashes; `etag` is an object store's."""

    root: BronzeRoot
    path: str
    bytes: int
    modified_ns: int
    etag: str | None = None

    @property
    def hive_keys(self) -> dict[str, str]:
        """The key=value folders of the path: {"entity": "members", "ingestion_date": "2026-01-11"}."""
        folders = self.path.split("/")[:-1]
        return {key: unquote(value) for key, is_key, value in (f.partition("=") for f in folders) if is_key}

    def digest(self) -> str:
        """Return what identifies the content: the store's ETag and size, or the BLAKE3 digest of the stored bytes."""
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
        self._stream: Stream = file
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
        locations = (location for location in self.path.glob(pattern) if location.is_file())
        found = (self.find_file(location.relative_to(self.path).as_posix()) for location in locations)
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


def bronze_root(environ: Mapping[str, str] = os.environ) -> BronzeRoot:
    """Return BRONZE_ROOT, data/bronze where it is unset; SettingError if it is neither a folder nor a store's URL."""
    root = bronze_location(environ)
    if "://" in root:
        # Imported where it is used: 20 MiB and 0.1 s that a load from disk does not pay.
        from loaders.object_store import ObjectStore

        return ObjectStore.from_url(root)
    if not Path(root).is_dir():
        raise SettingError(
            f"BRONZE_ROOT is {root}, which is no folder. Set it to the folder of the bronze files, or make some: "
            "`python -m bench generate people`."
        )
    return Folder(Path(root))


def unreadable(path: str, error: Exception) -> FileError:
    """Return the error for a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return FileError(f"{path} cannot be read: {reason.rstrip('.')}. Mend it or remove it, then load again.")
