"""An open bronze file as a stream of plain bytes: decompressed, out of its archive, in an encoding of PostgreSQL."""

import codecs
import gzip
import io
import zipfile
import zlib
from typing import Protocol

import zstandard

from loaders.errors import FileError

ZIP_MAGIC = b"PK\x03\x04"
# What the first bytes say of files that hold no text, and how to get text out of them.
UNREADABLE = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    b"%PDF": "a PDF document: export the data as CSV",
    b"SQLi": "an SQLite database: export the table as CSV",
    b"BZh": "compressed by bzip2: compress it by gzip or zstd",
    b"\xfd7zX": "compressed by xz: compress it by gzip or zstd",
    b"7z\xbc\xaf": "a 7-Zip archive: compress the file by gzip or zstd",
    b"PAR1": "a Parquet file: declare `format: parquet`",
    b"\x89HDF": "an HDF5 file: export the data as CSV",
    b"ORC": "an ORC file: convert it to Parquet or CSV",
    b"Obj\x01": "an Avro file: convert it to Parquet or NDJSON",
}
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, zipfile.BadZipFile)


class Readable(Protocol):
    """What is read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""


class RecordStream(Readable, Protocol):
    """An open file as the bytes that its records are cut from."""

    def close(self) -> None:
        """Close the file."""

    @property
    def position(self) -> int:
        """How many stored bytes have been read."""


class StoredFile(Readable, Protocol):
    """An open file as it is stored, compressed or not."""

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Go to a position."""

    def tell(self) -> int:
        """Return the position."""

    def close(self) -> None:
        """Close the file."""


class OpenFile:
    """The bytes of a stored file once nothing is wrapped around them; FileError for what cannot be read.

    `encoding` is a Python codec's name where the text has to be written anew in UTF-8, since PostgreSQL does not know
    it; a byte order mark says which UTF-16 it is.
    """

    def __init__(self, path: str, file: StoredFile, *, encoding: str | None = None) -> None:
        self._path = path
        self._file = file
        try:
            self._stream = self._unwrapped()
        except BaseException:
            file.close()
            raise
        self._decoder = None if encoding is None else codecs.getincrementaldecoder(encoding)()

    def read(self, size: int, /) -> bytes:
        """Return up to about `size` bytes, b"" at the end."""
        if self._decoder is None:
            return self._read(size)
        while True:
            data = self._read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeError as error:
                raise FileError(f"{self._path}: {error}. Correct the source's encoding, or the file.") from error
            if text or not data:
                return text.encode()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def position(self) -> int:
        """How many stored bytes have been read."""
        return self._file.tell()

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except DAMAGED as error:
            raise FileError(f"{self._path}: damaged compressed data ({error}). Fetch or export it again.") from error
        except OSError as error:
            raise unreadable(self._path, error) from error

    def _unwrapped(self) -> Readable:
        try:
            magic = self._file.read(4)
            self._file.seek(0)
        except OSError as error:
            raise unreadable(self._path, error) from error
        if magic.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=self._file, mode="rb")
        if magic == b"\x28\xb5\x2f\xfd":
            # It reads, and asks for no more of a file.
            return zstandard.ZstdDecompressor().stream_reader(self._file, read_across_frames=True)  # type: ignore[arg-type]
        if magic == ZIP_MAGIC:
            return self._only_member()
        for first_bytes, what in UNREADABLE.items():
            if magic.startswith(first_bytes):
                raise FileError(f"{self._path} is {what}.")
        return self._file

    def _only_member(self) -> Readable:
        try:
            archive = zipfile.ZipFile(_Seekable(self._file))
            members = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX/" not in one.filename]
            if any(one.filename == "[Content_Types].xml" for one in members):
                raise FileError(f"{self._path} is an Excel workbook, or another Office document: save it as CSV.")
            if len(members) != 1:
                raise FileError(
                    f"{self._path} is a zip archive of {len(members)} files. Extract them, or zip each file by itself."
                )
            if members[0].flag_bits & 1:
                raise FileError(f"{self._path} is an encrypted zip archive. Extract the file from it.")
            return archive.open(members[0])
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise FileError(f"{self._path}: damaged zip archive ({error}). Fetch or export it again.") from error
        except OSError as error:
            raise unreadable(self._path, error) from error


class _Seekable(io.RawIOBase):
    """A stored file with what zipfile asks of a file: it looks for the directory at the end."""

    def __init__(self, file: StoredFile) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, position: int, whence: int = 0, /) -> int:
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()


def printable(path: str) -> str:
    """Return a path with what is not UTF-8 in it as escapes."""
    return path.encode(errors="backslashreplace").decode()


def unreadable(path: str, error: Exception) -> FileError:
    """Return the error for a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return FileError(f"{printable(path)} cannot be read: {reason.rstrip('.')}. Fix it or remove it, then load again.")


def unwritable(path: str, error: Exception) -> FileError:
    """Return the error for a file that cannot be written or deleted."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    return FileError(f"{printable(path)} cannot be written: {reason.rstrip('.')}. See to BRONZE_ROOT, then run again.")
