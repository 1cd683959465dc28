"""The bronze root that BRONZE_ROOT names: a folder, or an object store."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from loaders.bronze import BronzeRoot, Folder, bronze_location
from loaders.errors import SettingError


def bronze_root(environ: Mapping[str, str] = os.environ, *, make: bool = False) -> BronzeRoot:
    """Return BRONZE_ROOT, data/bronze where it is unset; SettingError if it is neither a folder nor a store's URL.

    `make` makes a folder that is not there.
    """
    root = bronze_location(environ)
    if "://" in root:
        # Imported where it is used: 20 MiB and 0.1 s that a load from disk does not pay.
        from loaders.object_store import ObjectStore

        return ObjectStore.from_url(root)
    if make:
        with suppress(OSError):
            Path(root).mkdir(parents=True, exist_ok=True)
    if not Path(root).is_dir():
        raise SettingError(
            f"BRONZE_ROOT is {root}, which is not a folder. Set it to the folder of the bronze files, or generate "
            "some: `python -m bench generate people`."
        )
    return Folder(Path(root))
