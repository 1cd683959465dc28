"""The local server's settings, sized to the machine's memory, each with its reason."""

from collections.abc import Sequence

import psutil

MIB = 1024**2
GIB = 1024**3
# Name, value as it stands in a configuration file, reason.
Setting = tuple[str, str, str]


def settings_file(
    major_version: int,
    port: int,
    memory_bytes: int | None = None,
    *,
    memory_share: float = 1,
    more: Sequence[Setting] = (),
) -> str:
    """Return the text of ingot.conf, sized to a share of the memory, which defaults to this machine's."""
    memory = int((memory_bytes or psutil.virtual_memory().total) * memory_share)
    lines = ["# Written by `python -m loaders db up` at every start: change loaders/server_settings.py instead."]
    for name, value, reason in [*_settings(major_version, port, memory), *more]:
        lines += [f"# {reason}", f"{name} = {value}"]
    return "\n".join(lines) + "\n"


def _settings(major_version: int, port: int, memory: int) -> list[Setting]:
    settings = [
        ("listen_addresses", "'127.0.0.1'", "Loopback only."),
        ("port", str(port), "PGPORT."),
        (
            "unix_socket_directories",
            "''",
            "TCP only: a socket's path has a limit of 107 bytes, clones do not.",
        ),
        ("password_encryption", "'scram-sha-256'", "The only password method in pg_hba.conf."),
        (
            "shared_buffers",
            _mib(memory / 4, most=8 * GIB),
            "A quarter of memory, the manual's starting point.",
        ),
        (
            "effective_cache_size",
            _mib(memory * 3 / 4),
            "What the page cache can hold; the planner only reads it.",
        ),
        (
            "maintenance_work_mem",
            _mib(memory / 24, most=GIB),
            "Index builds after a full refresh sort in memory.",
        ),
        (
            "work_mem",
            _mib(memory / 384, most=128 * MIB),
            "Hash joins and aggregates of a few sessions in memory.",
        ),
        (
            "max_wal_size",
            "8GB",
            "A bulk load is not interrupted by a checkpoint every gigabyte (the default).",
        ),
        ("min_wal_size", "1GB", "WAL files are recycled, not created anew, by the next load."),
        (
            "checkpoint_timeout",
            "15min",
            "Fewer full-page images; recovery of a local server may take longer.",
        ),
        ("wal_buffers", "64MB", "Parallel COPYs write WAL faster than the default 16 MB is flushed."),
        ("wal_level", "minimal", "Nothing replicates from here; a table built in one transaction skips WAL."),
        ("max_wal_senders", "0", "Required by wal_level = minimal."),
        ("random_page_cost", "1.1", "Solid-state disks and a warm cache: an index costs what it reads."),
        ("effective_io_concurrency", "200", "Solid-state disks take many requests at once."),
        (
            "autovacuum_vacuum_cost_limit",
            "1000",
            "Autovacuum keeps up with increments of large tables; the default is 200.",
        ),
        ("jit", "off", "Compiling costs more than it saves in queries of milliseconds."),
        ("track_io_timing", "on", "EXPLAIN (ANALYZE, BUFFERS) shows what was waited for."),
        ("max_connections", "200", "Loader, dbt and the query harness at once."),
        ("log_min_duration_statement", "'5s'", "Slow statements are worth a line."),
        ("log_line_prefix", "'%m [%p] %a '", "Which program (application_name) said it."),
        ("log_timezone", "'UTC'", "One clock for server, ledger and files."),
        ("timezone", "'UTC'", "Timestamps are stored and shown in UTC."),
    ]
    if major_version >= 16:
        # reserved: 15 lacks nothing that the settings above need.
        settings.append(
            (
                "vacuum_buffer_usage_limit",
                "'16MB'",
                "Vacuum after a big load uses more than 256 kB of buffers.",
            )
        )
    return settings


def _mib(size: float, most: float = float("inf")) -> str:
    return f"{int(min(size, most) / MIB)}MB"
