"""What `status` shows of the ledger, and what it calls too old."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import click

from loaders.errors import LoadError
from loaders.ledger_reader import LoadRow
from loaders.raw_table import RawTable

WIDEST_COLUMNS = 100_000


def show_loads(loads: Sequence[LoadRow], *, as_json: bool) -> None:
    """Print loads as a table, or as JSON."""
    from rich.console import Console
    from rich.table import Table

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


def check_age(
    latest: Mapping[RawTable, tuple[datetime, timedelta]], tables: Sequence[RawTable], limit: timedelta
) -> None:
    """Raise LoadError if the latest load of a table, or of any that has one where none is named, is older than that."""
    said = [
        f"{table}: its latest load became complete {latest[table][0]:%Y-%m-%d %H:%M} UTC, longer than {limit} ago."
        if table in latest
        else f"{table}: no load of it is complete."
        for table in tables or latest
        if table not in latest or latest[table][1] > limit
    ]
    if said or not (tables or latest):
        raise LoadError(" ".join(said or ["No load is complete."]) + " See to its extractor and to `load`.")
