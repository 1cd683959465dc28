"""The command line: python -m loaders load | status | rejects | discard | declare | db."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import click
import psycopg

from loaders.bronze import BronzeRoot, bronze_root
from loaders.connection import Address, connect
from loaders.described_tables import create_described_tables
from loaders.errors import LoaderError, ServerError, SettingError
from loaders.ledger import Ledger
from loaders.load import LoadOptions, LoadResult, TableLoader, TableReport
from loaders.progress import Progress
from loaders.raw_table import raw_table
from loaders.sources import SourceTable, read_sources, select_sources

if TYPE_CHECKING:
    from loaders.server import LocalServer

P = ParamSpec("P")
SHOWN_RAW_BYTES = 200


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: clean up as for Ctrl-C."""


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn expected errors into one line on standard error and exit code 1, interrupts into 130 and 143."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            command(*args, **kwargs)
        except LoaderError as error:
            _fail(str(error))
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            _fail(f"The server said: {said}. See to it, then run the command again; nothing half done is visible.")
        except KeyboardInterrupt as error:
            click.echo("interrupted: nothing half loaded is visible; the next load goes on from here", err=True)
            sys.exit(143 if isinstance(error, Terminated) else 130)

    return wrapped


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Land bronze files in PostgreSQL by COPY, exactly once.

    Example: python -m loaders load people.persons --workers 2
    """


@main.command()
@click.argument("names", metavar="[SOURCE.TABLE ...]", nargs=-1)
@click.option("--full-refresh", is_flag=True, help="Truncate the raw tables, then land every file anew.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Connections that copy.")
@click.option(
    "--batch-files", type=click.IntRange(1), default=1000, show_default=True, help="Files in one load, at most."
)
@click.option(
    "--max-rejects", type=click.IntRange(0), default=0, show_default=True, help="Refused records a load may have."
)
@click.option("--dry-run", is_flag=True, help="Say which files are new, and land none.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write what was done here.")
@click.option(
    "--watch", "watch_seconds", type=click.FloatRange(min=0.1), help="Keep landing what arrives, looking so often."
)
@one_line_errors
def load(
    names: Sequence[str],
    full_refresh: bool,
    workers: int,
    batch_files: int,
    max_rejects: int,
    dry_run: bool,
    json_path: Path | None,
    watch_seconds: float | None,
) -> None:
    """Land every new bronze file of the named source tables, of all where none is named.

    Example: python -m loaders load people.persons --max-rejects 100
    """
    declared = read_sources(Path())
    sources = select_sources(declared, names)
    options = LoadOptions(workers=workers, batch_files=batch_files, max_rejects=max_rejects, full_refresh=full_refresh)
    run = _Run(sources, bronze_root(), Address.from_environment(), options, named=bool(names))
    if watch_seconds is not None:
        if full_refresh or dry_run or json_path is not None:
            raise SettingError("--watch goes on and on: use it without --full-refresh, --dry-run and --json.")
        run.watch(watch_seconds)
        return
    reports = run.once(dry_run=dry_run)
    if not dry_run:
        # dbt builds every staging view: those of other sources read raw tables that are empty.
        create_described_tables(run.address, [source for source in declared if source not in sources])
    if json_path is not None:
        json_path.write_text(json.dumps([_as_data(report) for report in reports], indent=2) + "\n")
    if not any(report.found for report in reports):
        _fail(f"{run.root} holds no file of any declared source. Put files there, or set BRONZE_ROOT.")
    if any(report.problems for report in reports):
        sys.exit(1)


@dataclass
class _Run:
    """The loads of one command; `said` is what a watch has complained of, so that it does so once."""

    sources: Sequence[SourceTable]
    root: BronzeRoot
    address: Address
    options: LoadOptions
    named: bool
    said: set[str] = field(default_factory=set)

    def once(self, *, dry_run: bool = False) -> list[TableReport]:
        """Land what is new of every source, and say what was done."""
        reports: list[TableReport] = []
        with Progress() as progress:
            for loader in self._loaders(progress):
                report = loader.pending() if dry_run else loader.run(_say_loaded)
                reports.append(report)
                _say_report(report, named=self.named, pattern=f"{self.root}/{loader.source.bronze.path}")
        return reports

    def watch(self, seconds: float) -> None:
        """Land what arrives until an interrupt, which ends a pause at once and a load as it does elsewhere."""
        while True:
            try:
                with Progress() as progress:
                    for loader in self._loaders(progress):
                        for problem in loader.run(_say_loaded).problems:
                            self._complain(problem)
            except LoaderError as error:
                self._complain(error)
            try:
                time.sleep(seconds)
            except KeyboardInterrupt:
                return

    def _loaders(self, progress: Progress) -> Iterator[TableLoader]:
        for source in self.sources:
            yield TableLoader(source, root=self.root, address=self.address, options=self.options, progress=progress)

    def _complain(self, problem: LoaderError) -> None:
        if str(problem) not in self.said:
            self.said.add(str(problem))
            click.echo(f"error: {problem}", err=True)


@main.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Loads to show, the newest first.")
@one_line_errors
def status(limit: int) -> None:
    """Show the ledger: the newest loads and what became of them.

    Example: python -m loaders status --limit 5
    """
    from rich.console import Console
    from rich.table import Table

    with connect(Address.from_environment()) as connection:
        loads = _ledger(connection).recent_loads(limit)
    table = Table("load", "table", "status", "started (UTC)", "seconds", "files", "records", "rejected", "MB", "error")
    for row in loads:
        seconds = "" if row.finished_at is None else f"{(row.finished_at - row.started_at).total_seconds():.1f}"
        table.add_row(
            str(row.load_id),
            f"{row.table_schema}.{row.table_name}",
            row.status,
            f"{row.started_at:%Y-%m-%d %H:%M:%S}",
            seconds,
            f"{row.files:,}",
            "" if row.records is None else f"{row.records:,}",
            "" if row.rejected is None else f"{row.rejected:,}",
            f"{row.bytes / 1e6:,.1f}",
            row.error or "",
        )
    Console().print(table)


@main.command()
@click.argument("load_id", type=int, required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Records to show.")
@one_line_errors
def rejects(load_id: int | None, limit: int) -> None:
    """Show the records that COPY refused, of one load or of the newest.

    Example: python -m loaders rejects 12 --limit 100
    """
    with connect(Address.from_environment()) as connection:
        rows = _ledger(connection).rejects(load_id, limit)
    for row in rows:
        place = f"{row.path}, record {row.record_number} (byte {row.byte_offset})"
        click.echo(f"load {row.load_id}: {row.table_schema}.{row.table_name}: {place}: {row.reason}")
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
        ledger = _ledger(connection)
        row = ledger.load(load_id)
        if row is None or row.status != "complete":
            was = "does not exist" if row is None else f"is {row.status}"
            raise SettingError(f"load {load_id} {was}: only a complete load can be discarded. See `status`.")
        source = next((s for s in read_sources(Path()) if raw_table(s) == row.table), None)
        if source is None:
            raise SettingError(f"load {load_id} is of {row.table}, which no source declares. Declare it again.")
        rows = ledger.discard(raw_table(source), load_id)
        models = ledger.models_that_applied(load_id)
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


@main.group()
def db() -> None:
    """Run the local PostgreSQL.

    Example: python -m loaders db up
    """


@db.command()
@one_line_errors
def up() -> None:
    """Create the local server where it is missing, and start it.

    Example: PGPORT=54400 python -m loaders db up
    """
    click.echo(_server().up())


@db.command()
@click.option("--remove-data", is_flag=True, help="Delete the server's data, too.")
@one_line_errors
def down(remove_data: bool) -> None:
    """Stop the local server.

    Example: python -m loaders db down
    """
    server = _server()
    click.echo(server.down())
    if remove_data:
        server.remove()
        click.echo("its data is deleted")


@db.command()
@one_line_errors
def url() -> None:
    """Print the database's address; a password of your own is left to PGPASSWORD.

    Example: psql "$(python -m loaders db url)"
    """
    click.echo(Address.from_environment().psql_url)


def _server() -> "LocalServer":
    # Imported where it is used: a load pays for no psutil.
    from loaders.server import LocalServer

    return LocalServer(Path(".pgdata"), Address.from_environment())


def _ledger(connection: psycopg.Connection) -> Ledger:
    ledger = Ledger(connection)
    if not ledger.exists():
        raise ServerError("The database has no ledger yet. Land something first: `python -m loaders load`.")
    return ledger


def _say_loaded(result: LoadResult) -> None:
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    click.echo(
        f"{result.source}: load {result.load_id}: {files}, {result.records:,} records, {result.rejected:,} rejected, "
        f"{result.seconds:.2f} s, {result.records_per_second:,.0f} records/s, "
        f"{result.bytes / result.seconds / 1e6:,.1f} MB/s"
    )


def _say_report(report: TableReport, *, named: bool, pattern: str) -> None:
    for load_id in report.undone:
        click.echo(f"{report.source}: load {load_id} had been interrupted: undone", err=True)
    for problem in report.problems:
        click.echo(f"error: {problem}", err=True)
    if report.found == 0:
        if named:
            _fail(f"{report.source}: no file matches {pattern}. Put one there, or set BRONZE_ROOT.")
        click.echo(f"{report.source}: no file matches {pattern}", err=True)
    elif report.pending:
        click.echo(f"{report.source}: {len(report.pending):,} new files, {report.skipped:,} landed before")
        for path in report.pending:
            click.echo(f"    {path}")
    elif not report.loads and not report.problems:
        click.echo(f"{report.source}: nothing new; {report.skipped:,} files landed before")


def _as_data(report: TableReport) -> dict[str, Any]:
    loads = [asdict(result) | {"records_per_second": result.records_per_second} for result in report.loads]
    return {
        "source": report.source,
        "files_found": report.found,
        "files_skipped": report.skipped,
        "files_pending": report.pending,
        "loads_undone": report.undone,
        "retries": report.retries,
        "loads": loads,
        "problems": [str(problem) for problem in report.problems],
    }


if __name__ == "__main__":
    main()
