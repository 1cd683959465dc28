"""The command line: python -m loaders load | status | rejects | discard | declare | db | cluster."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
import psycopg

from loaders.command_line import fail, one_line_errors
from loaders.connection import Address, connect
from loaders.described_tables import create_described_tables
from loaders.errors import ServerError, SettingError
from loaders.ledger import Ledger
from loaders.ledger_reader import LedgerReader
from loaders.ledger_version import check_version
from loaders.load_command import LoadCommand, as_data
from loaders.load_report import LoadOptions
from loaders.retry import RETRY_SECONDS
from loaders.roots import bronze_root
from loaders.segments import drop_retired
from loaders.server_commands import cluster, db
from loaders.sources import read_sources, select_sources

SHOWN_RAW_BYTES = 200
WIDEST_COLUMNS = 100_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Land bronze files in PostgreSQL by COPY, exactly once.

    Example: python -m loaders load people.persons --workers 2
    """


@main.command()
@click.argument("names", metavar="[SOURCE.TABLE ...]", nargs=-1)
@click.option("--full-refresh", is_flag=True, help="Land every file anew, then replace the old rows.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections that copy.")
@click.option(
    "--batch-files", type=click.IntRange(1), default=1000, show_default=True, help="Files in one load, at most."
)
@click.option(
    "--max-rejects", type=click.IntRange(0), default=0, show_default=True, help="Refused records a file may have."
)
@click.option(
    "--retry-seconds", type=click.FloatRange(min=0), default=RETRY_SECONDS, show_default=True,
    help="Retry temporary errors (a restart, a failover) for this long.",
)  # fmt: skip
@click.option(
    "--remove-missing", is_flag=True,
    help="Where a source delivers partitions, remove the rows of files that bronze no longer has.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say which files are new, and land none.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write what was done here.")
@click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Land new files until interrupted, looking every SECONDS.",
)
@one_line_errors
def load(
    names: Sequence[str],
    full_refresh: bool,
    workers: int,
    batch_files: int,
    max_rejects: int,
    retry_seconds: float,
    remove_missing: bool,
    dry_run: bool,
    json_path: Path | None,
    watch_seconds: float | None,
) -> None:
    """Land every new bronze file of the named source tables, of all where none is named.

    Example: python -m loaders load people.persons --max-rejects 100
    """
    declared = read_sources(Path())
    sources = select_sources(declared, names)
    options = LoadOptions(
        workers=workers,
        batch_files=batch_files,
        max_rejects=max_rejects,
        full_refresh=full_refresh,
        remove_missing=remove_missing,
        retry_seconds=retry_seconds,
    )
    command = LoadCommand(sources, bronze_root(), Address.from_environment(), options, named=bool(names))
    if watch_seconds is not None:
        if full_refresh or dry_run or json_path is not None:
            raise SettingError("--watch goes on and on: use it without --full-refresh, --dry-run and --json.")
        command.watch(watch_seconds)
        return
    reports = command.once(dry_run=dry_run)
    if not dry_run:
        # dbt builds every staging view: those of other sources read raw tables that are empty.
        create_described_tables(command.address, [source for source in declared if source not in sources])
    if json_path is not None:
        json_path.write_text(json.dumps([as_data(report) for report in reports], indent=2) + "\n")
    if any(report.problems for report in reports):
        sys.exit(1)
    if not any(report.found for report in reports):
        fail(f"{command.root} holds no file of any declared source. Put files there, or set BRONZE_ROOT.")


@main.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Loads to show, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print the loads as JSON.")
@one_line_errors
def status(limit: int, as_json: bool) -> None:
    """Show the ledger: the newest loads and what became of them.

    Example: python -m loaders status --limit 5 --json
    """
    from rich.console import Console
    from rich.table import Table

    with connect(Address.from_environment()) as connection:
        loads = _reader(connection).recent_loads(limit)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in loads], indent=2, default=datetime.isoformat))
        return
    table = Table("load", "table", "status", "started (UTC)", "seconds", "files", "records", "rejected", "MB", "error")
    for row in loads:
        seconds = "" if row.finished_at is None else f"{(row.finished_at - row.started_at).total_seconds():.1f}"
        table.add_row(
            str(row.load_id),
            str(row.table),
            row.status,
            f"{row.started_at:%Y-%m-%d %H:%M:%S}",
            seconds,
            f"{row.files:,}",
            "" if row.records is None else f"{row.records:,}",
            "" if row.rejected is None else f"{row.rejected:,}",
            f"{row.bytes / 1e6:,.1f}",
            row.error or "",
        )
    console = Console()
    if not console.is_terminal:
        # A program or a pager reads it: as wide as its rows are, so that nothing is cut or wrapped.
        console.width = Console(width=WIDEST_COLUMNS).measure(table).maximum
    console.print(table)


@main.command()
@click.argument("load_id", type=int, required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Records to show.")
@one_line_errors
def rejects(load_id: int | None, limit: int) -> None:
    """Show the records that COPY refused, of one load or of all, the newest load first.

    Example: python -m loaders rejects 12 --limit 100
    """
    with connect(Address.from_environment()) as connection:
        rows = _reader(connection).rejects(load_id, limit)
    for row in rows:
        place = f"{row.path}, record {row.record_number} (byte {row.byte_offset})"
        click.echo(f"load {row.load_id}: {row.table}: {place}: {row.reason}")
        raw = row.raw[:SHOWN_RAW_BYTES].decode(errors="backslashreplace").rstrip("\r\n")
        click.echo(f"    {raw}{' ...' if len(row.raw) > SHOWN_RAW_BYTES else ''}")
    if not rows:
        click.echo("no rejected records")


@main.command()
@click.argument("load_id", type=int)
@one_line_errors
def discard(load_id: int) -> None:
    """Delete a complete load's rows from staging, so that its files can be landed again.

    Example: python -m loaders discard 12
    """
    with connect(Address.from_environment()) as connection:
        reader = _reader(connection)
        row = reader.load(load_id)
        if row is None or row.status != "complete":
            was = "does not exist" if row is None else f"is {row.status}"
            raise SettingError(f"load {load_id} {was}: only a complete load can be discarded. See `status`.")
        source = next((s for s in read_sources(Path()) if s.raw_table == row.table), None)
        if source is None:
            raise SettingError(f"load {load_id} is of {row.table}, which no source declares. Declare it again.")
        rows = Ledger(connection, source.raw_table).discard(load_id)
        drop_retired(connection, source.raw_table, seconds=0)
        models = reader.models_that_applied(load_id)
    click.echo(f"load {load_id} discarded: {rows:,} rows of {source.name} deleted, {row.files:,} files released")
    if models:
        names = " ".join(model.split(".", 1)[-1] for model in models)
        click.echo(f"built from it: {', '.join(models)}; rebuild with `dbt run --full-refresh --select {names}`")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="SOURCE.TABLE", help="What to call it, such as nyc.flights.")
@click.option("--key", metavar="COLUMN[,...]", default="", help="The columns that tell two records apart.")
@click.option("--by", metavar="COLUMN[,...]", default="", help="Write a first mart that counts by these columns.")
@click.option("--path", "pattern", metavar="GLOB", help="The files to land, under the bronze root; FILE by default.")
@click.option("--update", is_flag=True, help="Write nothing: say how FILE differs from its source, exit 1 if it does.")
@one_line_errors
def declare(file: Path, name: str | None, key: str, by: str, pattern: str | None, update: bool) -> None:
    """Look into a file, and write its source and models.

    Example: python -m loaders declare data/bronze/nyc/flights.csv --name nyc.flights --key year,month,day,flight
    """
    # Imported where it is used: a load pays for no DuckDB.
    from loaders.declare.command import run

    sys.exit(run(file, name=name, key=key, by=by, pattern=pattern, update=update))


main.add_command(db)
main.add_command(cluster)


def _reader(connection: psycopg.Connection) -> LedgerReader:
    if not check_version(connection):
        raise ServerError("The database has no ledger yet. Land something first: `python -m loaders load`.")
    return LedgerReader(connection)


if __name__ == "__main__":
    main()
