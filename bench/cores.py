"""How many cores this process may use: those of its affinity, or less where its control group has a quota."""

import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> float:
    """Return the number of cores, a fraction where the quota is one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(allowed), *_quotas(Path("/proc/self/cgroup"), CONTROL_GROUPS)])


def _quotas(own: Path, root: Path) -> list[float]:
    """Return the quotas, in cores, of this process's control group and of those above it (version 2)."""
    lines = own.read_text().splitlines() if own.exists() else []
    named = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if named is None:
        return []
    found = []
    for group in (root / named, *(root / named).parents):
        limit = group / "cpu.max"
        if limit.exists():
            quota, period = limit.read_text().split()
            found += [] if quota == "max" else [int(quota) / int(period)]
    return found
