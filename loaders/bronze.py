"""Bronze files: which there are, what identifies their content, their bytes uncompressed."""

import gzip
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import blake3
import zstandard

from loaders.blocks import Stream
from loaders.errors import FileError, SettingError

READ_BYTES = 1024**2
GZIP_MAGIC = b"\x1f\x8b"
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class BronzeFile:
    """A file under the bronze root; `path` is relative to it, with slashes."""

    path: str
    location: Path
    bytes: int
    modified_ns: int

    @property
    def hive_keys(self) -> dict[str, str]:
        """The key=value folders of the path: {"entity": "members", "ingestion_date": "2026-01-11"}."""
        folders = self.path.split("/")[:-1]
        return {key: unquote(value) for key, is_key, value in (f.partition("=") for f in folders) if is_key}

    def digest(self) -> str:
        """Return the BLAKE3 digest of the stored bytes, in hex: the content's identity."""
        # On every core: nothing else can begin before the content is known.
        hasher = blake3.blake3(max_threads=blake3.blake3.AUTO)
        try:
            with self.location.open("rb", buffering=0) as file:
                while data := file.read(READ_BYTES):
                    hasher.update(data)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return str(hasher.hexdigest())

    def open(self) -> "OpenFile":
        """Open for reading, decompressed by what the first bytes say; FileError for what cannot be read."""
        try:
            return OpenFile(self.path, self.location.open("rb", buffering=0))
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def check_unchanged(self) -> None:
        """Raise FileError if the file is no longer the one that was listed."""
        try:
            now = self.location.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if (now.st_size, now.st_mtime_ns) != (self.bytes, self.modified_ns):
            raise FileError(f"{self.path} changed while it was landed. Bronze is immutable: write a new file instead.")


class OpenFile:
    """An open bronze file as a stream of uncompressed bytes."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        magic = file.read(4)
        file.seek(0)
        self._stream: Stream = file
        if magic.startswith(GZIP_MAGIC):
            self._stream = gzip.GzipFile(fileobj=file, mode="rb")
        elif magic == ZSTANDARD_MAGIC:
            self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def read(self, size: int, /) -> bytes:
        """Return up to `size` uncompressed bytes; FileError where the compressed data is damaged."""
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise FileError(f"{self._path}: damaged compressed data ({error}). Fetch or export it again.") from error
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def position(self) -> int:
        """How many stored bytes have been read."""
        return self._file.tell()


def bronze_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return BRONZE_ROOT, data/bronze where it is unset; SettingError if it is no folder."""
    root = Path(environ.get("BRONZE_ROOT") or "data/bronze")
    if not root.is_dir():
        raise SettingError(
            f"BRONZE_ROOT is {root}, which is no folder. Set it to the folder of the bronze files, or make some: "
            "`python -m bench generate people`."
        )
    return root


def list_files(root: Path, pattern: str) -> list[BronzeFile]:
    """Return the files under `root` that match the glob, by name."""
    found: list[BronzeFile] = []
    for location in root.glob(pattern):
        if location.is_file():
            status = location.stat()
            path = location.relative_to(root).as_posix()
            found.append(BronzeFile(path, location, status.st_size, status.st_mtime_ns))
    return sorted(found, key=lambda file: file.path)


def _unreadable(path: str, error: OSError) -> FileError:
    return FileError(f"{path} cannot be read: {error.strerror}. Mend it or remove it, then load again.")
