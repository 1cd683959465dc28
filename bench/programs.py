"""Where programs are found: PostgreSQL's own, and dbt."""

import os
import shutil
import sys
from pathlib import Path

from bench.errors import ProjectError
from loaders.connection import Address
from loaders.server import LocalServer


def dbt_program() -> str:
    """Return the dbt of this Python's environment, or else of PATH."""
    beside = Path(sys.executable).with_name("dbt")
    if found := shutil.which(beside) or shutil.which("dbt"):
        return found
    raise ProjectError("dbt is not installed here: install requirements.lock, or run `make demo` once.")


def server_program(name: str, address: Address) -> Path | None:
    """Return a program of PostgreSQL's from PG_BIN, the local server's binaries or PATH, None where there is none."""
    folders = [os.environ["PG_BIN"]] if os.environ.get("PG_BIN") else []
    if not folders and address.is_local:
        folders.append(str(LocalServer(Path(".pgdata"), address).binaries))
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    return Path(found) if found else None
