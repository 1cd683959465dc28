"""What `prune` does with each table, and says of it on the terminal."""

from collections.abc import Sequence

import click
import psycopg

from loaders.errors import LoaderError
from loaders.prune import PrunedTable, Retention, plan_prune, prune
from loaders.sources import SourceTable


def prune_tables(
    connection: psycopg.Connection, sources: Sequence[SourceTable], retention: Retention, *, dry_run: bool
) -> bool:
    """Prune the tables, or say what would be; False if one could not be: that does not keep the others."""
    is_done = True
    for source in sources:
        try:
            done = (plan_prune if dry_run else prune)(connection, source.raw_table, retention)
        except LoaderError as error:
            click.echo(f"error: {error}", err=True)
            is_done = False
            continue
        _say(source.name, done, dry_run=dry_run)
    return is_done


def _say(name: str, done: PrunedTable, *, dry_run: bool) -> None:
    stay = f"{_loads(done.kept)} stay" if done.kept != 1 else "1 load stays"
    if done.load_ids:
        what = f"{_loads(len(done.load_ids))}, {done.records:,} records"
        size = f"; {done.bytes_before / 1e6:,.1f} MB became {done.bytes_after / 1e6:,.1f} MB"
        click.echo(f"{name}: {'would prune' if dry_run else 'pruned'} {what}; {stay}{'' if dry_run else size}")
    else:
        click.echo(f"{name}: nothing to prune; {stay}")
    if done.kept and not done.has_models:
        click.echo(f"{name}: no model has applied its loads: build one that reads it first", err=True)
    for model, count in done.blocking.items():
        schema = model.rpartition(".")[0]
        click.echo(
            f"{name}: {model} has not applied {_loads(count)}: build it, drop it, or leave it out with "
            f"`--ignore-schema {schema}`",
            err=True,
        )
    if done.left:
        click.echo(f"{name}: older transactions still read the old rows: a later command drops them", err=True)


def _loads(count: int) -> str:
    return "1 load" if count == 1 else f"{count:,} loads"
