"""What surrounds a measurement: its circumstances, programs, a database of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from math import isclose
from pathlib import Path

import psycopg
from psycopg import sql

from bench.errors import ProjectError, ToolError
from bench.machine import LOAD_AVERAGE, Machine, read_clients, read_machine
from loaders.connection import Address, connect
from loaders.server import LocalServer

SETTINGS = (
    "shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "max_parallel_workers",
    "max_parallel_workers_per_gather", "random_page_cost", "jit", "plan_cache_mode", "max_connections", "fsync",
    "full_page_writes", "synchronous_commit", "wal_level", "wal_compression", "wal_buffers", "max_wal_size",
    "checkpoint_timeout", "autovacuum", "io_method", "huge_pages", "track_io_timing", "shared_preload_libraries",
)  # fmt: skip
# Two sizes of one table are the same up to this: the planner's number of rows is an estimate, and bytes hold dead rows.
SAME_ROWS, SAME_BYTES = 0.02, 0.25
# A view's tables, a partitioned table's partitions as one; the ledger is nobody's data.
TABLES = """
    with recursive named (oid) as (
        select to_regclass(format('%%I.%%I', schema, name)) from unnest(%s::text[], %s::text[]) as given (schema, name)
        union
        select d.refobjid
        from named
        inner join pg_rewrite as r on r.ev_class = named.oid
        inner join pg_depend as d
            on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
    )
    select
        n.nspname || '.' || c.relname,
        sum(greatest(coalesce(part.reltuples, c.reltuples), 0))::bigint,
        sum(pg_total_relation_size(coalesce(part.oid, c.oid)))::bigint
    from named
    inner join pg_class as c on c.oid = named.oid
    inner join pg_namespace as n on n.oid = c.relnamespace
    left join lateral pg_partition_tree(c.oid) as tree on tree.isleaf
    left join pg_class as part on part.oid = tree.relid
    where c.relkind in ('r', 'p', 'm') and n.nspname <> 'ops'
    group by 1
    order by 1
"""


@dataclass(frozen=True)
class Server:
    """The server's version and the settings that matter; no address and no password."""

    version: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class TableSize:
    """A table that was read: its rows as the planner estimates them, its bytes with indexes."""

    rows: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.bytes / 1e6:,.1f} MB"

    def is_like(self, other: "TableSize") -> bool:
        """Tell whether two sizes are one, but for what estimates and dead rows make of it."""
        same_rows = isclose(self.rows, other.rows, rel_tol=SAME_ROWS)
        return same_rows and isclose(self.bytes, other.bytes, rel_tol=SAME_BYTES)


@dataclass(frozen=True)
class Circumstances:
    """When (ISO 8601, UTC), of which revision, and where figures were taken.

    `clients` are versions of libraries, `tables` what the queries read, `queries` a hash of each one's SQL;
    `load_average` is the machine's of the minute before.
    """

    date: str
    revision: str | None
    machine: Machine
    server: Server
    clients: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, TableSize] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    load_average: float | None = None

    @property
    def day(self) -> str:
        """The date to the minute, as people read it."""
        return self.date[:16].replace("T", " ")

    def differences(self, other: "Circumstances") -> list[str]:
        """Say what differs but the date and the load: figures of unlike circumstances are not one series."""
        said = [
            f"{what}: {ours} and {theirs}"
            for what, ours, theirs in (
                ("machine", self.machine, other.machine),
                ("server", self.server.version, other.server.version),
            )
            if ours != theirs
        ]
        for ours, theirs in ((self.server.settings, other.server.settings), (self.clients, other.clients)):
            said += [
                f"{name}: {ours.get(name, 'unknown')} and {theirs.get(name, 'unknown')}"
                for name in {**ours, **theirs}
                if ours.get(name) != theirs.get(name)
            ]
        said += [
            f"{name}: another SQL"
            for name in self.queries
            if other.queries.get(name, self.queries[name]) != self.queries[name]
        ]
        for name, size in self.tables.items():
            if name in other.tables and not size.is_like(other.tables[name]):
                said.append(f"{name}: {size} and {other.tables[name]}")
        return said


def read_circumstances(
    address: Address, *, tables: Collection[tuple[str, str]] = (), queries: Mapping[str, str] | None = None
) -> Circumstances:
    """Look at the machine, the server and the repository; ServerError if there is no server.

    `tables` are those that were read, by schema and name (a view stands for its tables), `queries` the SQL by name.
    """
    with connect(address) as connection:
        shown = connection.execute(
            "select name, current_setting(name) from pg_settings where name = any(%s) order by name", [list(SETTINGS)]
        ).fetchall()
        [version] = connection.execute("select version()").fetchone() or ("",)
        schemas, names = [schema for schema, _ in tables], [name for _, name in tables]
        sizes = connection.execute(TABLES, [schemas, names]).fetchall()
    return Circumstances(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=_revision(),
        machine=read_machine(),
        server=Server(version, dict(shown)),
        clients=read_clients(),
        tables={name: TableSize(int(rows), int(size)) for name, rows, size in sizes},
        queries={name: sha256(text.encode()).hexdigest()[:12] for name, text in (queries or {}).items()},
        load_average=LOAD_AVERAGE,
    )


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
