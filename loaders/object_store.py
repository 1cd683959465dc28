"""Bronze in an object store (S3, Azure, Google Cloud Storage): streamed by ranges, never copied to disk.

Credentials, region and endpoint come from the stores' own variables (AWS_*, AZURE_STORAGE_*, GOOGLE_*), which obstore
reads. Requests are retried by obstore, a range at a time: a connection cut in mid-object costs one range.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import AzureStore, GCSStore, S3Store

from loaders.bronze import BronzeFile, literal_folder
from loaders.errors import SettingError
from loaders.open_file import StoredFile, unreadable, unwritable
from loaders.read_ahead import Fetched, ReadAhead

if TYPE_CHECKING:
    from obstore import ObjectMeta, ReadableFile

# A range a request: few requests for large objects, and little memory for each open one.
RANGE_BYTES = 2 * 1024**2
RETRIES = 8
RETRY_SECONDS = 60

Store = S3Store | AzureStore | GCSStore
STORES: dict[str, Callable[..., Store]] = {"s3": S3Store, "az": AzureStore, "gs": GCSStore}


@dataclass(frozen=True)
class ObjectStore:
    """A bronze root in an object store."""

    url: str
    store: Store
    # The objects as they were when they were read ahead.
    _read: dict[str, BronzeFile] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_url(cls, url: str) -> "ObjectStore":
        """Return the store that s3://bucket/prefix, az://container/prefix or gs://bucket/prefix names."""
        parts = urlsplit(url)
        if parts.scheme not in STORES or not parts.netloc:
            known = ", ".join(f"{scheme}://NAME/PREFIX" for scheme in STORES)
            raise SettingError(f"BRONZE_ROOT is {url}, which is not an object store's URL. Use a folder or {known}.")
        try:
            store = STORES[parts.scheme](
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            )
        except BaseError as error:
            raise _refused(url, error) from error
        return cls(url, store)

    def __str__(self) -> str:
        return self.url

    def list_files(self, pattern: str) -> list[BronzeFile]:
        """Return the objects that match the glob, by path."""
        matches = re.compile(glob_pattern(pattern)).fullmatch
        # Folders without a wildcard narrow the listing down.
        prefix = literal_folder(pattern).rstrip("/")
        try:
            listed = [meta for page in obstore.list(self.store, prefix=prefix or None) for meta in page]
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise _refused(self.url, error) from error
        return sorted((self._file(meta) for meta in listed if matches(meta["path"])), key=lambda file: file.path)

    def find_file(self, path: str) -> BronzeFile:
        """Return one object as it is now, or was when all of it was read in one request."""
        if (read := self._read.pop(path, None)) is not None:
            return read
        try:
            return self._file(obstore.head(self.store, path))
        except (BaseError, OSError) as error:
            raise unreadable(path, error) from error

    @cached_property
    def _ahead(self) -> dict[bool, ReadAhead]:
        return {to_land: ReadAhead(self._get) for to_land in (True, False)}

    def read_ahead(self, files: Sequence[BronzeFile], *, to_land: bool) -> None:
        """Fetch small objects before they are opened, several at once."""
        self._ahead[to_land].expect(files)

    def open_file(self, path: str) -> StoredFile:
        """Open one object."""
        try:
            fetched = self._ahead[True].take(path) or self._ahead[False].take(path)
            if fetched is not None:
                self._read[path] = fetched.file
                return io.BytesIO(fetched.data)
            self._read.pop(path, None)
            return StoredObject(obstore.open_reader(self.store, path, buffer_size=RANGE_BYTES))
        except (BaseError, OSError) as error:
            raise unreadable(path, error) from error

    def _get(self, path: str) -> Fetched:
        result = obstore.get(self.store, path)
        return Fetched(bytes(result.bytes()), self._file(result.meta))

    def write_file(self, path: str, data: bytes | bytearray, *, new: bool = False) -> None:
        """Write an object in one request, so that it is there whole or not at all."""
        try:
            obstore.put(self.store, path, data, use_multipart=False, mode="create" if new else "overwrite")
        except AlreadyExistsError as error:
            raise FileExistsError from error
        except (BaseError, OSError) as error:
            raise unwritable(path, error) from error

    def delete_file(self, path: str) -> None:
        """Delete an object, if it is there."""
        try:
            obstore.delete(self.store, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise unwritable(path, error) from error

    def _file(self, meta: "ObjectMeta") -> BronzeFile:
        modified_ns = int(meta["last_modified"].timestamp() * 1_000_000) * 1000
        # Every store has ETags, in quotes or not; should one have none, its time of change stands in.
        etag = (meta["e_tag"] or str(modified_ns)).strip('"')
        return BronzeFile(self, meta["path"], meta["size"], modified_ns, etag)


class StoredObject:
    """An open object with the errors and bytes of a file."""

    def __init__(self, reader: "ReadableFile") -> None:
        self._reader = reader

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, b"" at the end; OSError for what obstore gave up on."""
        try:
            return bytes(self._reader.read(size))
        except BaseError as error:
            raise OSError(" ".join(str(error).split())) from error

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Go to a position."""
        return self._reader.seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._reader.tell()

    def close(self) -> None:
        """Close the object."""
        self._reader.close()


def glob_pattern(pattern: str) -> str:
    """Return the regular expression of a glob: * and ? within a name, ** over any number of folders."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or re.escape(part) for part in parts)


def _refused(url: str, error: Exception) -> SettingError:
    said = " ".join(str(error).split())
    return SettingError(
        f"{url}: {said[:300]} Check BRONZE_ROOT and the store's own variables (AWS_*, AZURE_STORAGE_*, GOOGLE_*)."
    )
