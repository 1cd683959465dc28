"""The loads of one command, and what they say on the terminal."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click
import psycopg

from loaders.bronze import BronzeRoot
from loaders.connection import Address
from loaders.discovery import FailedFiles
from loaders.errors import LoaderError, LoadError, ServerError, SettingError
from loaders.load import TableLoader
from loaders.load_report import LoadOptions, LoadResult, TableReport
from loaders.progress import Progress
from loaders.sources import SourceTable


@dataclass
class LoadCommand:
    """The loads of one command; `named` if the source tables were. `said` is what a watch has complained of."""

    sources: Sequence[SourceTable]
    root: BronzeRoot
    address: Address
    options: LoadOptions
    named: bool
    failed: FailedFiles = field(default_factory=FailedFiles)
    said: set[str] = field(default_factory=set)

    def once(self, *, dry_run: bool = False) -> list[TableReport]:
        """Land what is new of every source, and say what was done; one that fails does not keep the others."""
        reports: list[TableReport] = []
        with Progress() as progress:
            for loader in self._loaders(progress):
                report = self._run(loader, dry_run=dry_run)
                if self.named and report.found == 0 and not report.problems:
                    where = f"{self.root}/{loader.source.bronze.path}"
                    said = f"{report.source}: no file matches {where}. Put one there, or set BRONZE_ROOT."
                    report.problems.append(SettingError(said))
                reports.append(report)
                _say_report(report, pattern=f"{self.root}/{loader.source.bronze.path}")
        problems = [problem for report in reports for problem in report.problems]
        if len(reports) > 1 and problems:
            click.echo(f"{len(problems)} problems in all:", err=True)
            for problem in problems:
                click.echo(f"error: {problem}", err=True)
        return reports

    def watch(self, seconds: float) -> None:
        """Land what arrives until an interrupt, which ends a pause at once and a load as it does elsewhere."""
        while True:
            with Progress() as progress:
                for loader in self._loaders(progress):
                    try:
                        report = self._run(loader, dry_run=False)
                    except LoaderError as error:
                        self._complain(error)
                    else:
                        _say_changed(report)
                        for problem in report.problems:
                            self._complain(problem)
            try:
                time.sleep(seconds)
            except KeyboardInterrupt:
                return

    def _run(self, loader: TableLoader, *, dry_run: bool) -> TableReport:
        try:
            return loader.pending() if dry_run else loader.run(_say_loaded)
        except (ServerError, SettingError):  # which are every source's
            raise
        except LoaderError as error:
            return TableReport(loader.source.name, problems=[error])
        except psycopg.Error as error:
            if error.sqlstate is None or isinstance(error, psycopg.OperationalError):
                raise
            said = " ".join(str(error).split())
            problem = LoadError(f"{loader.source.name}: the server reported: {said}. Fix that, then load again.")
            return TableReport(loader.source.name, problems=[problem])

    def _loaders(self, progress: Progress) -> Iterator[TableLoader]:
        for source in self.sources:
            yield TableLoader(
                source,
                root=self.root,
                address=self.address,
                options=self.options,
                progress=progress,
                failed=self.failed,
            )

    def _complain(self, problem: LoaderError) -> None:
        if str(problem) not in self.said:
            self.said.add(str(problem))
            click.echo(f"error: {problem}", err=True)


def as_data(report: TableReport) -> dict[str, Any]:
    """Return a report as --json writes it."""
    loads = [asdict(result) | {"records_per_second": result.records_per_second} for result in report.loads]
    return {
        "source": report.source,
        "files_found": report.found,
        "files_skipped": report.skipped,
        "files_pending": report.pending,
        "files_changed": report.changed,
        "files_replaced": report.replaced,
        "files_removed": report.removed,
        "runs_unfinished": report.unfinished,
        "columns_added": report.added,
        "columns_missing": report.missing,
        "loads_undone": report.undone,
        "retries": report.retries,
        "loads": loads,
        "problems": [str(problem) for problem in report.problems],
    }


def _say_loaded(result: LoadResult) -> None:
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    rewritten = f"{result.rewritten:,} rewritten, " if result.rewritten else ""
    click.echo(
        f"{result.source}: load {result.load_id}: {files}, {result.records:,} records, {result.rejected:,} rejected, "
        f"{rewritten}{result.seconds:.2f} s, {result.records_per_second:,.0f} records/s, "
        f"{result.bytes / result.seconds / 1e6:,.1f} MB/s"
    )


def _say_changed(report: TableReport) -> None:
    for what, columns in (("new column", report.added), ("without the column", report.missing)):
        for name, path in columns.items():
            click.echo(f"{report.source}: {path}: {what} {name}", err=True)
    for path in report.changed:
        click.echo(f"{report.source}: {path} has new content", err=True)
    for count, what in ((report.replaced, "replaced by newer ones"), (report.removed, "gone from bronze: removed")):
        if count:
            click.echo(f"{report.source}: files {what}: {count:,}", err=True)


def _say_report(report: TableReport, *, pattern: str) -> None:
    for load_id in report.undone:
        click.echo(f"{report.source}: load {load_id} had been interrupted: undone", err=True)
    _say_changed(report)
    for folder in report.unfinished:
        click.echo(f"{report.source}: {folder} is not whole yet: left alone", err=True)
    for problem in report.problems:
        click.echo(f"error: {problem}", err=True)
    if report.left:
        click.echo(f"{report.source}: older transactions still read the old rows: a later load drops them", err=True)
    if report.found == 0 and not report.problems:
        click.echo(f"{report.source}: no file matches {pattern}", err=True)
    elif report.pending:
        click.echo(f"{report.source}: {len(report.pending):,} new files, {report.skipped:,} landed before")
        for path in report.pending:
            click.echo(f"    {path}")
    elif report.restores and not report.loads and not report.problems:
        click.echo(f"{report.source}: nothing is pruned")
    elif not report.loads and not report.problems:
        click.echo(f"{report.source}: nothing new; {report.skipped:,} files landed before")
