"""Ports of the servers that tests start, and folders by which a later run finds those whose process was killed."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(pid: int) -> str:
    """Return when the process began, in milliseconds: its number alone may be another's by now."""
    try:
        return str(round(psutil.Process(pid).create_time() * 1000))
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def folder_of_process(parent: Path) -> Iterator[Path]:
    """Yield a folder that names this process, removed at the end."""
    parent.mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-{started(os.getpid())}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def abandoned_folders(parent: Path) -> Iterator[Path]:
    """Yield the folders whose process is gone; each is removed when the next one is asked for."""
    for folder in parent.glob("*-*-*"):
        pid, since, _ = folder.name.split("-", 2)
        if started(int(pid)) != since:
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
