"""The columns of a raw table: as the source's YAML describes them, then as its files bring them."""

from collections.abc import Mapping, Sequence

import psycopg

from loaders.errors import FileError, LoadError
from loaders.landing_file import LandingFile
from loaders.load_report import TableReport
from loaders.locks import change_tables, exclusive_ddl
from loaders.raw_table import added_columns, comment_on_columns, create_raw_table, present_columns, raw_table_exists
from loaders.sources import SourceTable

# How long new columns wait for the readers of the table.
WIDEN_SECONDS = 600.0


class RawColumns:
    """The columns of the raw table of `source`, over a connection that holds the table's lock."""

    def __init__(self, source: SourceTable, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._table = source.raw_table
        self._format = source.bronze.copy_format
        self._distributed_by = source.distributed_by

    def create(self, columns: Mapping[str, str]) -> None:
        """Create the raw table with these columns, or add those that it lacks, without holding up its readers.

        `columns` are named for the fields of a header, which become comments where the two differ.
        """
        types = self._format.column_types(list(columns))
        missing = self._missing(types)
        if not missing:
            return
        if not raw_table_exists(self._connection, self._table):
            with exclusive_ddl(self._connection):
                create_raw_table(self._connection, self._table, types, distributed_by=self._distributed_by)
        elif not change_tables(
            self._connection,
            self._table.identifier,
            [added_columns(self._table, missing)],
            seconds=WIDEN_SECONDS,
        ):
            raise LoadError(
                f"{self._table}: for {WIDEN_SECONDS / 60:.0f} minutes, others held it while it should get new columns "
                f"({', '.join(missing)}). End their transactions (pg_stat_activity), then load again."
            )
        originals = {name: field for name, field in columns.items() if name in missing and name != field}
        comment_on_columns(self._connection, self._table, originals)

    def _missing(self, types: Mapping[str, str]) -> dict[str, str]:
        present = present_columns(self._connection, self._table)
        return {name: data_type for name, data_type in types.items() if name not in present}

    def widen(self, batch: Sequence[LandingFile], report: TableReport) -> None:
        """Add the columns of the files to the table; a file whose columns it cannot have fails alone."""
        self._compare(batch, report)
        headers = {tuple(file.columns): file.columns for file in batch if file.error is None}
        try:
            self.create({name: field for columns in headers.values() for name, field in columns.items()})
        except psycopg.Error as error:
            if not _blames_columns(error):
                raise
            for names in headers:
                self._try_header([file for file in batch if tuple(file.columns) == names])

    def _compare(self, batch: Sequence[LandingFile], report: TableReport) -> None:
        """Say which columns the files add to a table that has rows, and which they lack."""
        if self._format.is_json or not report.has_rows:
            return
        present = present_columns(self._connection, self._table) - {*self._format.lineage_columns}
        for file in batch:
            if present and present.isdisjoint(file.columns):
                file.fail(
                    FileError(
                        f"{file.path} has none of the columns of {self._table}: {', '.join(file.columns)[:200]}. "
                        "Is it of this source, and has it a header? Correct its declaration."
                    )
                )
                continue
            file.added = [name for name in file.columns if name not in present]
            file.missing = present.difference(file.columns)
            for said, names in ((report.added, file.added), (report.missing, file.missing)):
                for name in names:
                    said.setdefault(name, file.path)

    def _try_header(self, files: list[LandingFile]) -> None:
        try:
            self.create(files[0].columns)
        except psycopg.Error as error:
            if not _blames_columns(error):
                raise
            said = error.diag.message_primary or str(error)
            for file in files:
                file.fail(FileError(f"{file.path}: its columns cannot be those of {self._table}: {said}. Rename them."))


def _blames_columns(error: psycopg.Error) -> bool:
    """Tell whether DDL failed for the columns it was given: SQLSTATE classes 42 (names, but rights) and 54 (limits)."""
    return (error.sqlstate or "")[:2] in ("42", "54") and not isinstance(error, psycopg.errors.InsufficientPrivilege)
