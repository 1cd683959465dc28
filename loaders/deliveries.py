"""Deliveries that are whole tables: which files of a source are the newest one.

A delivery is a run, the folder `run_id=...` of its files, or one file where paths have no such folder; the newest has
the greatest run id, or path. Where the source declares a manifest, a run counts once its `_run.json` is there, and all
of the files that it lists under `files`.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing

from loaders.bronze import BronzeFile, BronzeRoot, hive_keys
from loaders.errors import FileError

RUN_KEY = "run_id"
MANIFEST = "_run.json"
MAX_MANIFEST_BYTES = 64 * 1024**2


def delivery_of(path: str) -> str:
    """Return what orders a file's delivery: its run, or its path; FileError for a path that the ledger cannot keep."""
    return hive_keys(path).get(RUN_KEY) or path


def newest_delivery(root: BronzeRoot, listed: Sequence[BronzeFile], *, has_manifest: bool) -> list[BronzeFile]:
    """Return the files of the newest delivery that is whole; FileError for a manifest that is wrong."""
    deliveries: dict[str, list[BronzeFile]] = defaultdict(list)
    for file in listed:
        if not file.path.endswith(f"/{MANIFEST}"):
            deliveries[delivery_of(file.path)].append(file)
    for _, files in sorted(deliveries.items(), reverse=True):
        if not has_manifest or _is_whole(root, files):
            return files
    return []


def _is_whole(root: BronzeRoot, files: Sequence[BronzeFile]) -> bool:
    folder = files[0].path.rpartition("/")[0]
    try:
        manifest = root.find_file(f"{folder}/{MANIFEST}")
    except FileError:
        return False
    try:
        with closing(manifest.open("jsonl")) as stream:
            wanted = json.loads(stream.read(MAX_MANIFEST_BYTES))["files"]
        names = {str(name) for name in wanted}
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{manifest.path} is not a manifest ({error!r}): JSON with a list of `files`.") from error
    return names <= {file.path.removeprefix(f"{folder}/") for file in files}
