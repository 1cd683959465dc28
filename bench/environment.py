"""What surrounds a measurement: machine, server and revision, programs, a database of its own."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from bench.errors import ProjectError, ToolError
from loaders.connection import Address, connect
from loaders.server import LocalServer

SETTINGS = (
    "shared_buffers", "effective_cache_size", "work_mem", "max_parallel_workers_per_gather", "random_page_cost", "jit",
    "max_connections", "fsync", "synchronous_commit", "wal_level", "plan_cache_mode",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """The machine that the client runs on."""

    cpu: str
    cores: int | None
    memory_bytes: int
    system: str
    python: str

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 1024**3:.0f} GiB"
        return f"{self.cpu}, {self.cores} cores, {memory}, {self.system}, Python {self.python}"


@dataclass(frozen=True)
class Server:
    """The server's version and the settings that matter; no address and no password."""

    version: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Circumstances:
    """When (ISO 8601, UTC), of which revision, and where figures were taken."""

    date: str
    revision: str | None
    machine: Machine
    server: Server

    @property
    def day(self) -> str:
        """The date to the minute, as people read it."""
        return self.date[:16].replace("T", " ")


def read_circumstances(address: Address) -> Circumstances:
    """Look at the machine, the server and the repository; ServerError if there is no server."""
    with connect(address) as connection:
        shown = connection.execute(
            "select name, current_setting(name) from pg_settings where name = any(%s) order by name", [list(SETTINGS)]
        ).fetchall()
        [version] = connection.execute("select version()").fetchone() or ("",)
    memory, system, python = psutil.virtual_memory().total, platform.system(), platform.python_version()
    return Circumstances(
        datetime.now(UTC).isoformat(timespec="seconds"),
        _revision(),
        Machine(_cpu_model(), os.cpu_count(), memory, system, python),
        Server(version, dict(shown)),
    )


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _revision() -> str | None:
    """Return git's name for the checked-out commit, or None outside a repository or without git."""
    try:
        ended = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git the user has
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return ended.stdout.strip() or None if ended.returncode == 0 else None


@contextmanager
def temporary_database(address: Address, prefix: str = "ingot_bench") -> Iterator[Address]:
    """Yield the address of a new database, which is dropped at the end."""
    name = f"{prefix}_{os.getpid()}"
    with connect(address) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield replace(address, database=name)
        finally:
            with suppress(psycopg.OperationalError):  # where the server is lost, that is what is to be told
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def repository_path(name: str) -> Path:
    """Return a file or folder of this repository; ToolError where Ingot is installed without it."""
    path = Path(__file__).parents[1] / name
    if not path.exists():
        raise ToolError(f"This reads {name} of Ingot's repository: run it in a clone.")
    return path


def dbt_program() -> str:
    """Return the dbt of this Python's environment, or else of PATH."""
    if found := shutil.which(Path(sys.executable).with_name("dbt")) or shutil.which("dbt"):
        return found
    raise ProjectError("dbt is not installed here: install requirements.lock, or run `make demo` once.")


def server_program(name: str, address: Address) -> Path | None:
    """Return a program of PostgreSQL's from PG_BIN, the local server's binaries or PATH, None where there is none."""
    folders = [os.environ["PG_BIN"]] if os.environ.get("PG_BIN") else []
    if not folders and address.is_local:
        folders.append(str(LocalServer(Path(".pgdata"), address).binaries))
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    return Path(found) if found else None
