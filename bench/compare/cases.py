"""The cases of `python -m bench load`: what is loaded, and the commands that load it."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from bench.compare.bronze import SMALL_FILES, UNCHANGED_FILES, Bronze
from bench.compare.loading import Case, Command, measure_case
from bench.compare.peers import SCHEMA, peer_commands
from bench.comparison import Comparison
from bench.environment import server_program, temporary_database
from bench.errors import ToolError
from loaders.connection import Address, connect

REPOSITORY = Path(__file__).parents[2]
# Both at once; the exit code is of the one that failed.
TWO_PSQL = '"$0" -qXc "$1" & "$0" -qXc "$2" && wait $!'
# What COPY takes NDJSON by: two bytes that JSON text cannot contain.
JSONL_OPTIONS = r"format csv, delimiter E'\x02', quote E'\x01'"
FRESH = f"""
drop schema if exists staging, ops, {SCHEMA} cascade;
drop table if exists plain;
create schema {SCHEMA};
create table plain ({{columns}});
"""


def measure_loading(
    names: Sequence[str], address: Address, *, rows: int, rounds: int, only: Sequence[str] = ()
) -> list[Comparison]:
    """Measure the named cases, of which `only` some variants, in a database and a folder that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ingot-") as folder, temporary_database(address) as temporary:
        bronze = Bronze(Path(folder), rows)
        cases = [CASES[name](bronze, temporary) for name in names]
        known = {case.name: [one.name for one in case.commands] for case in cases}
        every = list(dict.fromkeys(name for some in known.values() for name in some))
        if unknown := set(only) - set(every):
            raise ToolError(f"No variant is named {sorted(unknown)[0]!r}. Name one of: {', '.join(every)}.")
        chosen = [case for case in cases if not only or set(only) & set(known[case.name])]
        return [
            measure_case(case, address=temporary, rounds=rounds, only=only, say=lambda line: click.echo(line, err=True))
            for case in chosen
        ]


def csv_case(bronze: Bronze, address: Address) -> Case:
    """Return the case of one CSV file: PostgreSQL's own commands, the loader, and other tools."""
    file, columns, rows = bronze.persons(), bronze.columns(), bronze.rows
    options = "with (format csv, header)"
    server = _psql("server", "COPY FROM file", f"copy plain from '{file}' {options}", rows, address)
    server = replace(server, missing=_unreadable(address))
    psql = _psql("psql", "psql \\copy", rf"\copy plain from '{file}' {options}", rows, address)
    halves = [rf"\copy plain from '{half}' {options}" for half in bronze.halves()]
    two = replace(
        psql, name="two-psql", title="two psql \\copy at once, the file split before",
        command=("/bin/sh", "-c", TWO_PSQL, psql.command[0], *halves),
    )  # fmt: skip
    commands = (
        psql,
        two,
        server,
        *(_loader(bronze, "persons", rows, workers) for workers in (2, 1, 4)),
        *peer_commands(file, columns, rows, address),
    )
    title = f"one CSV file, {rows:,} rows, {file.stat().st_size / 1e6:,.1f} MB"
    plain = ", ".join(f'"{column}" text' for column in columns)
    return Case(name="csv", title=title, folder=bronze.folder, commands=commands, fresh=FRESH.format(columns=plain))


def jsonl_case(bronze: Bronze, address: Address) -> Case:
    """Return the case of one gzipped file of NDJSON, into jsonb."""
    file, rows = bronze.documents(), bronze.rows
    psql = _psql("psql", "zcat | psql \\copy", rf"\copy plain from pstdin with ({JSONL_OPTIONS})", rows, address)
    piped = ("/bin/sh", "-c", 'zcat "$0" | "$@"', str(file), *psql.command)
    commands = (replace(psql, command=piped), *(_loader(bronze, "documents", rows, workers) for workers in (2, 1)))
    title = f"one gzipped NDJSON file into jsonb, {rows:,} records, {file.stat().st_size / 1e6:,.1f} MB"
    fresh = FRESH.format(columns="raw jsonb")
    return Case(name="jsonl", title=title, folder=bronze.folder, commands=commands, unit="records", fresh=fresh)


def files_case(bronze: Bronze, _: Address) -> Case:
    """Return the case of many small files compared with the same rows in one."""
    bronze.persons()
    rows = bronze.small_files()
    one = replace(_loader(bronze, "persons", bronze.rows, 2), name="one-file", title="one file, 2 workers")
    many = [
        replace(_loader(bronze, "small_files", rows, n), name=f"files-{n}", title=f"small files, {_workers(n)}")
        for n in (2, 1)
    ]
    title = f"{rows:,} rows in one CSV file, and in {min(SMALL_FILES, bronze.rows):,} small ones"
    fresh = FRESH.format(columns="unused text")
    return Case(name="files", title=title, folder=bronze.folder, commands=(one, *many), fresh=fresh)


def kinds_case(bronze: Bronze, _: Address) -> Case:
    """Return the case of the same rows in other kinds of file."""
    bronze.persons()
    plain, *others = (_loader(bronze, table, bronze.rows, 2) for table in ("persons", *bronze.kinds()))
    titles = {"quoted": "CSV, every field quoted", "newlines": "CSV, a quoted newline a record", "parquet": "Parquet"}
    commands = (
        replace(plain, name="plain", title="CSV, quotes where needed"),
        *(replace(one, name=name, title=titles[name]) for name, one in zip(titles, others, strict=True)),
    )
    title = f"{bronze.rows:,} rows in kinds of file, 2 workers"
    fresh = FRESH.format(columns="unused text")
    return Case(name="kinds", title=title, folder=bronze.folder, commands=commands, fresh=fresh)


def rerun_case(bronze: Bronze, _: Address) -> Case:
    """Return the case of loading again files of which none has changed."""
    commands = []
    for count in UNCHANGED_FILES:
        bronze.unchanged_files(count)
        first = _loader(bronze, f"unchanged_{count}", count, 2)
        again = tuple(word for word in first.command if word != "--full-refresh")
        title = f"{count:,} unchanged files"
        commands.append(replace(first, name=f"rerun-{count}", title=title, command=again, once=first.command))
    title = "loading again what is loaded"
    return Case(name="rerun", title=title, folder=bronze.folder, commands=tuple(commands), unit="files")


CASES: Mapping[str, Callable[[Bronze, Address], Case]] = {
    "csv": csv_case,
    "jsonl": jsonl_case,
    "files": files_case,
    "kinds": kinds_case,
    "rerun": rerun_case,
}


def _unreadable(address: Address) -> str:
    """Return why the server cannot read a file for COPY FROM, or nothing."""
    if not address.is_local:
        return "not possible: the server is on another machine"
    with connect(address) as connection:
        may = connection.execute("select pg_has_role('pg_read_server_files', 'usage')").fetchone()
    return "" if may == (True,) else "needs PGUSER=postgres, PGPASSWORD from .pgdata/superuser_password"


def _psql(name: str, title: str, sql: str, rows: int, address: Address) -> Command:
    """Return psql with one statement that fills the plain table."""
    program = server_program("psql", address)
    return Command(
        name=name, title=title, table="plain", rows=rows, command=(str(program), "-qXc", sql), origin="reference",
        missing="" if program else "not installed",
    )  # fmt: skip


def _loader(bronze: Bronze, table: str, rows: int, workers: int) -> Command:
    """Return the loader's whole command that lands a declared table, with lineage and ledger."""
    words = ("load", f"bench.{table}", "--full-refresh", "--workers", str(workers))
    return Command(
        name=f"loader-{workers}", title=f"loader, {_workers(workers)}", table=f"staging.{table}", rows=rows,
        command=(sys.executable, "-m", "loaders", *words),
        environment={"BRONZE_ROOT": str(bronze.root), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
