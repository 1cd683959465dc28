"""The machine that the client runs on: its processor, what a control group leaves of it, its load, its libraries."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import psycopg

from bench.cores import usable_cores

LIBRARIES = ("asyncpg", "psycopg", "uvloop", "duckdb", "dbt-core", "dbt-postgres")
CGROUPS = Path("/sys/fs/cgroup")
# By the controllers of /proc/self/cgroup: none for version 2, whose one folder has all of these files.
LIMITS = {
    "": ("cpu.max", "memory.max"),
    "cpu": ("cpu.cfs_quota_us",),
    "memory": ("memory.limit_in_bytes",),
}
# Looked at when the process begins: later it is the measurement's own.
LOAD_AVERAGE = os.getloadavg()[0] if hasattr(os, "getloadavg") else None


@dataclass(frozen=True)
class Machine:
    """The client's machine; `usable_cores` are those that its process may use, `limits` its control group's."""

    cpu: str
    cores: int | None
    memory_bytes: int
    system: str
    python: str
    usable_cores: float | None = None
    limits: Mapping[str, str] | None = None

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 1024**3:.0f} GiB"
        usable = f" ({self.usable_cores:g} usable)" if self.usable_cores not in (None, self.cores) else ""
        limits = "".join(f", {name} {value}" for name, value in (self.limits or {}).items())
        return f"{self.cpu}, {self.cores} cores{usable}, {memory}{limits}, {self.system}, Python {self.python}"


def read_machine() -> Machine:
    """Look at this machine."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count(),
        memory_bytes=psutil.virtual_memory().total,
        system=platform.system(),
        python=platform.python_version(),
        usable_cores=usable_cores(),
        limits=read_limits(),
    )


def read_clients() -> dict[str, str]:
    """Return the versions of the libraries that ask the server, and of libpq."""
    found = {"libpq": str(psycopg.pq.version())}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_limits(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> dict[str, str]:
    """Return what limits this process's control group, by the names of the kernel's files; empty where nothing does.

    A limit may stand at any folder above the group's own: the first one that limits is taken.
    """
    found: dict[str, str] = {}
    for line in own.read_text().splitlines() if own.exists() else []:
        _, controllers, group = line.split(":", 2)
        for controller in {*controllers.split(",")} & LIMITS.keys():
            folder = root / controller / group.lstrip("/")
            for place in (folder, *folder.parents):
                for name in LIMITS[controller]:
                    path = place / name
                    if name not in found and path.is_file() and _limits(text := path.read_text().strip()):
                        found[name] = text
                if place == root:
                    break
    return found


def _limits(text: str) -> bool:
    """Tell whether a limit's text is one: version 1 writes -1, or more memory than there is, for none."""
    first = text.split(" ")[0]
    return first not in ("max", "-1") and int(first) < 2**60


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
