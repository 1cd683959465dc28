"""Ports and processes of the servers that tests start."""

import socket

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
