"""The command line: python -m loaders load | prune | status | rejects | discard | declare | extract | db | cluster."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from loaders.command_line import fail, one_line_errors
from loaders.connection import Address
from loaders.described_tables import create_described_tables
from loaders.errors import SettingError
from loaders.ledger_commands import discard, prune, rejects, status
from loaders.load_command import LoadCommand, as_data
from loaders.load_report import LoadOptions
from loaders.retry import RETRY_SECONDS
from loaders.roots import bronze_root
from loaders.server_commands import cluster, db
from loaders.sources import read_sources, select_sources


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Land bronze files in PostgreSQL by COPY, exactly once.

    Example: python -m loaders load people.persons --workers 2
    """


@main.command()
@click.argument("names", metavar="[SOURCE.TABLE ...]", nargs=-1)
@click.option("--full-refresh", is_flag=True, help="Land every file again, then replace the old rows.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections that copy.")
@click.option(
    "--batch-files",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Most files to a load.",
)
@click.option(
    "--max-rejects", type=click.IntRange(0), default=0, show_default=True, help="Rejected records allowed in a file."
)
@click.option(
    "--retry-seconds", type=click.FloatRange(min=0), default=RETRY_SECONDS, show_default=True,
    help="Retry temporary errors (a restart, a failover) for this long.",
)  # fmt: skip
@click.option(
    "--remove-missing", is_flag=True,
    help="Where a source delivers partitions, remove the rows of files that bronze no longer has.",
)  # fmt: skip
@click.option(
    "--rewritten", is_flag=True,
    help="For files rewritten in place: new content replaces the rows of its path, and versions keep their order.",
)  # fmt: skip
@click.option("--restore", is_flag=True, help="Land what was pruned of the named source tables again, and nothing new.")
@click.option("--since", metavar="RUN", help="With --restore, only loads with files of this run or a later one.")
@click.option("--dry-run", is_flag=True, help="List the new files, and land none.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this file."
)
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
    rewritten: bool,
    restore: bool,
    since: str | None,
    dry_run: bool,
    json_path: Path | None,
    watch_seconds: float | None,
) -> None:
    """Land every new bronze file of the named source tables, or of all of them.

    Example: python -m loaders load people.persons --max-rejects 100
    """
    if restore and (not names or full_refresh or rewritten or remove_missing or dry_run or watch_seconds is not None):
        raise SettingError(
            "--restore takes the names of source tables, and no other option that lands or removes rows."
        )
    if since is not None and not restore:
        raise SettingError("--since goes with --restore.")
    declared = read_sources(Path())
    sources = select_sources(declared, names)
    options = LoadOptions(
        workers=workers,
        batch_files=batch_files,
        max_rejects=max_rejects,
        full_refresh=full_refresh,
        remove_missing=remove_missing,
        rewritten=rewritten,
        restore=restore,
        since=since,
        retry_seconds=retry_seconds,
    )
    command = LoadCommand(sources, bronze_root(), Address.from_environment(), options, named=bool(names))
    if watch_seconds is not None:
        if full_refresh or dry_run or json_path is not None:
            raise SettingError("--watch does not end by itself: use it without --full-refresh, --dry-run and --json.")
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
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="SOURCE.TABLE", help="What to call it, such as nyc.flights.")
@click.option("--key", metavar="COLUMN[,...]", default="", help="The columns that identify a record.")
@click.option("--by", metavar="COLUMN[,...]", default="", help="Also write a mart that counts rows by these columns.")
@click.option("--path", "pattern", metavar="GLOB", help="The files to land, under the bronze root; FILE by default.")
@click.option("--update", is_flag=True, help="Write nothing: say how FILE differs from its source, exit 1 if it does.")
@one_line_errors
def declare(file: Path, name: str | None, key: str, by: str, pattern: str | None, update: bool) -> None:
    """Write the source and models of a file, from what is in it.

    Example: python -m loaders declare data/bronze/nyc/flights.csv --name nyc.flights --key year,month,day,flight
    """
    # Imported where it is used: a load pays for no DuckDB.
    from loaders.declare.command import run

    sys.exit(run(file, name=name, key=key, by=by, pattern=pattern, update=update))


@main.command()
@click.argument("names", metavar="SOURCE.TABLE ...", nargs=-1, required=True)
@click.option("--since", metavar="RUN", help="Go on from the cursor of this run, or from the `beginning`.")
@click.option("--max-pages", type=click.IntRange(1), help="Stop after so many pages; the cursor stays where it was.")
@click.option(
    "--requests", type=click.IntRange(1, 64), default=1, show_default=True,
    help="Pages to ask for at once, where they have numbers.",
)  # fmt: skip
@click.option(
    "--retry-seconds", type=click.FloatRange(min=0), default=RETRY_SECONDS, show_default=True,
    help="Retry a request's temporary errors for this long.",
)  # fmt: skip
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to this file."
)
@partial(one_line_errors, interrupted="interrupted: the unfinished run does not land; the next one begins where it did")
def extract(
    names: Sequence[str],
    since: str | None,
    max_pages: int | None,
    requests: int,
    retry_seconds: float,
    json_path: Path | None,
) -> None:
    """Write the records of a REST API into a new run of bronze, as the source's meta.extract declares.

    It goes on from the cursor of the newest finished run. `load` lands the run once its _run.json is there.

    Example: EVO_URL=https://api.example.com EVO_TOKEN=... python -m loaders extract evo.members --requests 4
    """
    try:
        # The optional extra; a load pays for none of it.
        from loaders.extract.command import run
        from loaders.extract.extraction import ExtractOptions
    except ModuleNotFoundError as error:
        raise SettingError(f"extract needs {error.name}: install Ingot with its extra, `ingot[extract]`.") from error
    options = ExtractOptions(since=since, max_pages=max_pages, requests=requests, retry_seconds=retry_seconds)
    sys.exit(run(names, options, json_path))


for command in (prune, status, rejects, discard, db, cluster):
    main.add_command(command)


if __name__ == "__main__":
    main()
