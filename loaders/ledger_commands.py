"""The commands that read the ledger, and take loads away: python -m loaders prune | status | rejects | discard."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click
import psycopg

from loaders.command_line import Age, one_line_errors
from loaders.connection import Address, connect
from loaders.errors import ServerError, SettingError
from loaders.ledger import Ledger
from loaders.ledger_reader import LedgerReader
from loaders.ledger_version import check_version
from loaders.retired_segments import drop_retired
from loaders.sources import read_sources, select_sources

SHOWN_RAW_BYTES = 200


@click.command()
@click.argument("names", metavar="[SOURCE.TABLE ...]", nargs=-1)
@click.option("--keep-loads", type=click.IntRange(0), help="Keep the newest loads of each table.  [default: 0]")
@click.option("--older-than", type=Age(), help="Keep what was first delivered within this time, such as 30d.")
@click.option(
    "--ignore-schema", "ignored", multiple=True, metavar="SCHEMA",
    help="Do not wait for the models in this schema, or in SCHEMA_core and so on; repeat it for more.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be pruned, and change nothing.")
@one_line_errors
def prune(
    names: Sequence[str], keep_loads: int | None, older_than: timedelta | None, ignored: Sequence[str], dry_run: bool
) -> None:
    """Remove the raw rows of loads that every model has applied; their files do not land again.

    `load --restore` lands them again from bronze, for what needs them: a full refresh, a new model, a late file.

    Example: python -m loaders prune evo.entries --older-than 30d --dry-run
    """
    if keep_loads is not None and older_than is not None:
        raise SettingError("--keep-loads and --older-than exclude each other: use one.")
    # Imported where it is used, as below: a load prunes nothing.
    from loaders.prune import Retention
    from loaders.prune_command import prune_tables

    sources = select_sources(read_sources(Path()), names)
    retention = Retention(keep_loads=keep_loads or 0, older_than=older_than, ignored_schemas=ignored)
    with connect(Address.from_environment()) as connection:
        _reader(connection)
        if not prune_tables(connection, sources, retention, dry_run=dry_run):
            sys.exit(1)


@click.command()
@click.argument("names", metavar="[SOURCE.TABLE ...]", nargs=-1)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Loads to show, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print the loads as JSON.")
@click.option(
    "--fail-if-older-than", "oldest", type=Age(),
    help="Exit with 1 where the latest load of a table is older, such as 2h; of those named, or of all that have one.",
)  # fmt: skip
@one_line_errors
def status(names: Sequence[str], limit: int, as_json: bool, oldest: timedelta | None) -> None:
    """Show the newest loads in the ledger, with their status, counts and errors; of the named source tables, or of all.

    Example: python -m loaders status evo.entries --limit 5 --fail-if-older-than 26h
    """
    # Imported where it is used: a load shows no table.
    from loaders.status_command import check_age, show_loads

    tables = [source.raw_table for source in select_sources(read_sources(Path()), names)] if names else []
    with connect(Address.from_environment()) as connection:
        reader = _reader(connection)
        show_loads(reader.recent_loads(limit, tables), as_json=as_json)
        if oldest is not None:
            check_age(reader.latest_loads(), tables, oldest)


@click.command()
@click.argument("load_id", type=int, required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Records to show.")
@one_line_errors
def rejects(load_id: int | None, limit: int) -> None:
    """Show the rejected records of one load, or of all loads, the newest first.

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


@click.command()
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


def _reader(connection: psycopg.Connection) -> LedgerReader:
    if not check_version(connection):
        raise ServerError("The database has no ledger yet. Land something first: `python -m loaders load`.")
    return LedgerReader(connection)
