"""Deliveries: which runs are whole, and of a source that delivers whole tables, which files are the newest one.

A delivery is a run, the folder `run_id=...` of its files, or one file where paths have no such folder; the newest has
the greatest run id, or path. A run that has a `_run.json` counts once all files that it lists under `files` are there.
One that has none counts unless the source declares a manifest, or `extract` began it and has not finished: then its
folder has a `_started.json`.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from loaders.bronze import BronzeFile, BronzeRoot, hive_keys, literal_folder
from loaders.errors import FileError
from loaders.sources import SourceTable

RUN_KEY = "run_id"
MANIFEST = "_run.json"
STARTED = "_started.json"
MAX_MANIFEST_BYTES = 64 * 1024**2


def delivery_of(path: str) -> str:
    """Return what orders a file's delivery: its run, or its path; FileError for a path that the ledger cannot keep."""
    return hive_keys(path).get(RUN_KEY) or path


def may_be_unfinished(source: SourceTable) -> bool:
    """Tell whether runs of the source say when they are whole."""
    return source.bronze.has_manifest or source.extract is not None


@dataclass(frozen=True)
class Manifests:
    """What says of a source's runs that they are whole: `paths` are those of all manifests and marks of a start."""

    root: BronzeRoot
    paths: Collection[str] = ()
    are_required: bool = False

    @classmethod
    def of(cls, root: BronzeRoot, source: SourceTable) -> "Manifests":
        """Return the manifests of a source; none where neither `extract` nor a declared manifest asks for them."""
        if not may_be_unfinished(source):
            return cls(root)
        listed = root.list_files(f"{literal_folder(source.bronze.path)}**/_*.json")
        return cls(root, {file.path for file in listed}, source.bronze.has_manifest)

    def is_whole(self, files: Sequence[BronzeFile]) -> bool:
        """Tell whether all files of these files' folder are there; FileError for a manifest that is wrong."""
        folder = files[0].path.rpartition("/")[0]
        if f"{folder}/{MANIFEST}" not in self.paths:
            return not self.are_required and f"{folder}/{STARTED}" not in self.paths
        names = read_manifest(self.root, f"{folder}/{MANIFEST}")["files"]
        return set(names) <= {file.path.removeprefix(f"{folder}/") for file in files}


def newest_delivery(manifests: Manifests, listed: Sequence[BronzeFile]) -> list[BronzeFile]:
    """Return the files of the newest delivery that is whole; FileError for a manifest that is wrong."""
    deliveries: dict[str, list[BronzeFile]] = defaultdict(list)
    for file in _data_files(listed):
        deliveries[delivery_of(file.path)].append(file)
    for _, files in sorted(deliveries.items(), reverse=True):
        if manifests.is_whole(files):
            return files
    return []


@dataclass
class WholeRuns:
    """The files of those runs that are whole; folders of the others; errors of manifests that are wrong."""

    files: list[BronzeFile]
    unfinished: list[str]
    problems: list[FileError]


def whole_runs(
    root: BronzeRoot, source: SourceTable, listed: Sequence[BronzeFile], landed: Collection[str]
) -> WholeRuns:
    """Return what of `listed` belongs to whole runs; a folder of which every path has `landed` is not asked about.

    Of a source that delivers whole tables it is all of them: `newest_delivery` looks for the whole run there.
    """
    if source.bronze.delivers == "full" or not may_be_unfinished(source):
        return WholeRuns(list(listed), [], [])
    manifests = Manifests.of(root, source)
    runs = WholeRuns([], [], [])
    folders: dict[str, list[BronzeFile]] = defaultdict(list)
    for file in _data_files(listed):
        folders[file.path.rpartition("/")[0]].append(file)
    for folder, files in folders.items():
        try:
            is_whole = all(file.path in landed for file in files) or manifests.is_whole(files)
        except FileError as error:
            runs.problems.append(error)
            continue
        if is_whole:
            runs.files += files
        else:
            runs.unfinished.append(folder)
    return runs


def read_manifest(root: BronzeRoot, path: str) -> dict[str, Any]:
    """Return a manifest, which has a list of `files`; FileError for what is none."""
    try:
        with closing(root.find_file(path).open("jsonl")) as stream:
            manifest = json.loads(stream.read(MAX_MANIFEST_BYTES))
        return {**manifest, "files": [str(name) for name in manifest["files"]]}
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is not a manifest ({error!r}): JSON with a list of `files`.") from error


def _data_files(listed: Sequence[BronzeFile]) -> Iterator[BronzeFile]:
    return (file for file in listed if file.path.rpartition("/")[2] not in (MANIFEST, STARTED))
