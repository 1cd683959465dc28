"""Bronze files: which there are, what identifies their content, their bytes uncompressed."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import blake3

from loaders.copy_format import CONVERTED_KINDS
from loaders.errors import FileError
from loaders.open_file import OpenFile, RecordStream, StoredFile, printable, unreadable, unwritable

READ_BYTES = 1024**2
# They are part of a B-tree's entry, which holds 2.7 kB.
MAX_KEYS_BYTES = 2000


class BronzeRoot(Protocol):
    """Where bronze files are; every method raises FileError or SettingError for what cannot be read or written."""

    def list_files(self, pattern: str) -> list["BronzeFile"]:
        """Return the files that match the glob, by path."""

    def find_file(self, path: str) -> "BronzeFile":
        """Return one file as it is now."""

    def open_file(self, path: str) -> StoredFile:
        """Open one file."""

    def read_ahead(self, files: Sequence["BronzeFile"], *, to_land: bool) -> None:
        """Announce the files that are opened next, in about this order: to land them, or to look into each.

        The two go on side by side: files are looked into before the first of them land.
        """

    def write_file(self, path: str, data: bytes | bytearray, *, new: bool = False) -> None:
        """Write a file, whole or not at all; FileExistsError if it must be `new` and is not."""

    def delete_file(self, path: str) -> None:
        """Delete a file, if it is there."""


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

    def open(self, kind: str = "csv", codec: str | None = None) -> RecordStream:
        """Open for reading, decompressed by what the first bytes say; FileError for what cannot be read.

        Parquet and JSON arrays (`kind`) are read as CSV, text of the encoding `codec` as UTF-8.
        """
        stored = self.root.open_file(self.path)
        if kind in CONVERTED_KINDS:
            # Imported where it is used: 30 MiB that no other load pays.
            from loaders.duckdb_file import ConvertedFile

            return ConvertedFile(self.path, stored, kind, self.bytes)
        return OpenFile(self.path, stored, encoding=codec)

    def check_unchanged(self) -> None:
        """Raise FileError if the file is no longer the one that was listed."""
        now = self.root.find_file(self.path)
        # A store lists times less exactly than it gives them for one object.
        is_same = now.etag == self.etag if self.etag else now.modified_ns == self.modified_ns
        if now.bytes != self.bytes or not is_same:
            raise FileError(f"{self.path} changed while it was landed. Bronze is immutable: write a new file instead.")


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

    def read_ahead(self, files: Sequence[BronzeFile], *, to_land: bool) -> None:
        """Do nothing: the kernel reads ahead, and opening a file costs no latency."""

    def write_file(self, path: str, data: bytes | bytearray, *, new: bool = False) -> None:
        """Write a file under a name that no source's glob takes for bronze, then give it its own."""
        target = self.path / path
        partial = target.with_name(f".{target.name}-{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if new:
                os.link(partial, target)
                partial.unlink()
            else:
                partial.replace(target)
            _sync_folder(target.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise unwritable(path, error) from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def delete_file(self, path: str) -> None:
        """Delete a file, if it is there, and its folder, if that is empty then."""
        try:
            (self.path / path).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        with suppress(OSError):
            (self.path / path).parent.rmdir()


def _sync_folder(folder: Path) -> None:
    """Make a file's new name outlast a power failure, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bronze_location(environ: Mapping[str, str] = os.environ) -> str:
    """Return BRONZE_ROOT as it is written, data/bronze where it is unset."""
    return environ.get("BRONZE_ROOT") or "data/bronze"


def literal_folder(pattern: str) -> str:
    """Return the folders of a glob before its first wildcard, each with its slash."""
    found = re.match(r"([^*?\[]*/)?", pattern)
    return (found and found[1]) or ""


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
        raise FileError(f"{path}: its path contains a NUL byte (%00). Rename its folder.")
    if len(json.dumps(keys)) > MAX_KEYS_BYTES:
        raise FileError(f"{path}: its key=value folders are over {MAX_KEYS_BYTES:,} bytes long. Shorten them.")
    return keys
