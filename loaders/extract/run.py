"""A run in bronze: its parts, each whole or not at all, and its manifest last, which the loader waits for."""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loaders.bronze import BronzeRoot, hive_keys, literal_folder
from loaders.deliveries import MANIFEST, RUN_KEY, STARTED, read_manifest
from loaders.errors import FileError, SettingError, SourceError
from loaders.object_store import glob_pattern
from loaders.sources import SourceTable

# A part is held in memory while it grows, and sent in one request.
PART_BYTES = 8 * 1024**2
GZIP = 16 + zlib.MAX_WBITS


def folder_of(source: SourceTable) -> str:
    """Return the folder of the source's runs; SourceError if its glob does not take parts, or takes what is none."""
    pattern = source.bronze.path
    folder = literal_folder(pattern).rstrip("/")
    run = f"{folder}/ingestion_date=2026-01-11/run_id=20260111T030000Z"
    takes = re.compile(glob_pattern(pattern)).fullmatch
    if not takes(f"{run}/{part_name(1)}") or takes(f"{run}/{MANIFEST}"):
        raise SourceError(
            f"{source.name}: config.meta.bronze.path is {pattern}, and extract writes {run}/{part_name(1)} and "
            f"{MANIFEST}. Declare a path that takes the one and not the other: it ends in /**/*.jsonl.gz."
        )
    return folder


def part_name(number: int) -> str:
    """Return the name of a run's part, 1 for the first."""
    return f"part-{number:05}.jsonl.gz"


@dataclass(frozen=True)
class FinishedRun:
    """A run of an extraction that has its manifest."""

    run_id: str
    cursor_field: str | None
    cursor_value: str | int | None


def finished_runs(root: BronzeRoot, source: SourceTable) -> Iterator[FinishedRun]:
    """Yield the runs of the source that extract has finished, the newest first; FileError for a wrong manifest."""
    manifests = {
        run_id: file
        for file in root.list_files(f"{folder_of(source)}/**/{MANIFEST}")
        if (run_id := hive_keys(file.path).get(RUN_KEY))
    }
    for run_id, file in sorted(manifests.items(), reverse=True):
        manifest = read_manifest(root, file.path)
        # Another program's runs have a manifest of their own, and no cursor.
        if manifest.get("source") == source.name and "cursor" in manifest:
            cursor = manifest["cursor"] or {}
            yield FinishedRun(run_id, cursor.get("field"), cursor.get("value"))


@dataclass
class Run:
    """A run that is being written: records go into its parts, `finish` makes it one that lands."""

    root: BronzeRoot
    folder: str
    began_at: datetime
    records: int = 0
    stored_bytes: int = 0
    files: list[str] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _gzip: Any = None

    @classmethod
    def begin(cls, root: BronzeRoot, source: SourceTable) -> "Run":
        """Begin a run by the clock's second; SettingError if a run of that second or a later one is there."""
        began_at = datetime.now(UTC)
        folder = f"{folder_of(source)}/ingestion_date={began_at:%Y-%m-%d}/run_id={began_at:%Y%m%dT%H%M%SZ}"
        newest = next(iter(finished_runs(root, source)), None)
        run = cls(root, folder, began_at)
        if newest is not None and newest.run_id >= run.run_id:
            raise SettingError(
                f"{source.name}: run {newest.run_id} is not older than the clock ({run.run_id}), and the later run's "
                "records win. Correct the clock, or try again in a second."
            )
        # The loader leaves a folder with this file and no manifest alone.
        started = {"source": source.name, "started_at": began_at.isoformat()}
        try:
            root.write_file(f"{folder}/{STARTED}", json.dumps(started).encode() + b"\n", new=True)
        except FileExistsError:
            raise SettingError(
                f"{source.name}: another extract began run {run.run_id} in the same second. Try again in a second."
            ) from None
        return run

    @property
    def run_id(self) -> str:
        """The run's id, which orders the versions of its records among those of other runs."""
        return hive_keys(f"{self.folder}/")[RUN_KEY]

    def write(self, records: Sequence[bytes]) -> None:
        """Add records, without the ends of their lines."""
        if not records:
            return
        if self._gzip is None:
            self._gzip = zlib.compressobj(wbits=GZIP)
        self._buffer += self._gzip.compress(b"\n".join(records) + b"\n")
        self.records += len(records)
        if len(self._buffer) >= PART_BYTES:
            self._write_part()

    def finish(self, **said: Any) -> None:
        """Write what is left, then the manifest, with what is `said` in it."""
        if self._gzip is not None:
            self._write_part()
        manifest = {
            **said,
            "run_id": self.run_id,
            "started_at": self.began_at.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
            "records": self.records,
            "files": self.files,
        }
        self.root.write_file(f"{self.folder}/{MANIFEST}", json.dumps(manifest, indent=2).encode() + b"\n")

    def discard(self) -> None:
        """Remove what was written of a run that failed; what cannot be removed never lands."""
        # The manifest first, which a store may have taken though it said no: its cursor must not outlive the records.
        # What holds the loader off goes last.
        with suppress(FileError):
            for name in (MANIFEST, *self.files, part_name(len(self.files) + 1), STARTED):
                self.root.delete_file(f"{self.folder}/{name}")

    def _write_part(self) -> None:
        self._buffer += self._gzip.flush()
        name = part_name(len(self.files) + 1)
        self.root.write_file(f"{self.folder}/{name}", self._buffer)
        self.files.append(name)
        self.stored_bytes += len(self._buffer)
        self._buffer = bytearray()
        self._gzip = None
