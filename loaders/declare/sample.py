"""The sample: a bronze file's records as text in a DuckDB table, and how the file is written."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from loaders.bronze import BronzeFile, Folder
from loaders.copy_format import CopyFormat
from loaders.declare.plain_text import READ_BYTES, UTF8_SIGNATURE, as_utf8
from loaders.duckdb_file import READERS, quoted, text_of
from loaders.errors import FileError
from loaders.first_record import read_first_record
from loaders.header import column_names, snake_case
from loaders.landing_file import open_bronze

SAMPLE_ROWS = 1_000_000
MEMORY_LIMIT = "512MiB"
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, kw_only=True)
class SampleColumn:
    """A column: its name in the raw table, its name in the file, and for NDJSON the kinds of its values."""

    name: str
    original: str
    json_kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file's records in the DuckDB table `sample`, NULL where a field is empty, beside `record_number`.

    `rejected` are the records that do not parse; `is_whole` tells whether all records of the file are here.
    """

    path: str
    format: str
    connection: duckdb.DuckDBPyConnection
    columns: tuple[SampleColumn, ...]
    rows: int
    is_whole: bool
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    has_header: bool = True
    encoding: str = "utf-8"
    rejected: tuple[str, ...] = ()


@contextmanager
def read_sample(path: Path, *, rows: int = SAMPLE_ROWS) -> Iterator[Sample]:
    """Read the first `rows` records of a file; FileError for what cannot be landed."""
    if not path.is_file():
        raise FileError(f"{path} is not a file. Name a bronze file, such as data/bronze/nyc/flights.csv.")
    file = Folder(path.parent).find_file(path.name)
    with tempfile.TemporaryDirectory() as folder, closing(duckdb.connect()) as connection:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = {_literal(folder)}")
        connection.execute("set enable_progress_bar = false")
        encoding, plain = ("utf-8", path) if _converted_kind(path) else as_utf8(file, path, Path(folder))
        try:
            if kind := _converted_kind(path):
                yield _read_converted(connection, path, kind, rows)
            elif _is_json(plain):
                yield _read_json(connection, path, plain, rows)
            else:
                yield _read_csv(connection, path, file, plain, encoding, rows)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise FileError(f"{path} cannot be read: {reason} Correct it, or export it again.") from error


def _converted_kind(path: Path) -> str | None:
    """Return parquet or json (an array) for what the loader lands by way of DuckDB."""
    with path.open("rb") as stream:
        first = stream.read(READ_BYTES)
    if first.startswith(b"PAR1"):
        return "parquet"
    return "json" if first.removeprefix(UTF8_SIGNATURE).lstrip().startswith(b"[") else None


def _read_converted(connection: duckdb.DuckDBPyConnection, path: Path, kind: str, rows: int) -> Sample:
    connection.execute("set timezone = 'UTC'")
    source = READERS[kind].replace("?", _literal(path))
    described = connection.execute(f"describe select * from {source}").fetchall()
    fields = [name for name, *_ in described]
    names = column_names(fields)
    texts = ", ".join(
        f"nullif({text_of(field, data_type)}, '') as {quoted(name)}"
        for name, (field, data_type, *_) in zip(names, described, strict=True)
    )
    connection.execute(
        f"create table sample as select row_number() over () as record_number, {texts} "
        f"from (from {source} limit {rows})"
    )
    landed = _count(connection)
    columns = tuple(SampleColumn(name=name, original=field) for name, field in zip(names, fields, strict=True))
    return Sample(
        path=str(path), format=kind, connection=connection, columns=columns, rows=landed, is_whole=landed < rows
    )


def _is_json(plain: Path) -> bool:
    with plain.open("rb") as stream:
        return stream.read(READ_BYTES).removeprefix(UTF8_SIGNATURE).lstrip().startswith(b"{")


def _read_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, file: BronzeFile, plain: Path, encoding: str, rows: int
) -> Sample:
    delimiter, quote, escape, seems_headed = _dialect(connection, plain)
    copy_format = CopyFormat(delimiter=delimiter, quote=quote, escape=escape, encoding_name=encoding)
    with closing(open_bronze(file, copy_format)) as stream:
        first = read_first_record(stream, copy_format, str(path))
    # Of texts alone the sniffer cannot tell a header from a record; no header has a number in it.
    has_header = seems_headed or not any(field[:1].isdigit() for field in first.fields)
    copy_format = replace(copy_format, has_header=has_header)
    columns = copy_format.columns(first.fields, str(path))
    names, fields = list(columns), list(columns.values())
    read = (
        f"read_csv({_literal(plain)}, auto_detect = false, header = {has_header}, columns = {_as_map(names)}, "
        f"delim = {_literal(delimiter)}, quote = {_literal(quote)}, escape = {_literal(escape)}, "
        "store_rejects = true, max_line_size = 33554432, strict_mode = "
    )
    create = "create table sample as select row_number() over () as record_number, * "
    try:
        connection.execute(f"{create} from (from {read} true) limit {rows})")
    except duckdb.Error:
        # Line ends of two kinds, and quotes where RFC 4180 has none, are no error to the loader.
        connection.execute(f"{create} from (from {read} false) limit {rows})")
    landed = _count(connection)
    rejected = connection.execute(
        "select distinct on (line) 'line ' || line || ': ' || lower(error_type::text) from reject_errors order by line"
    ).fetchall()
    return Sample(
        path=str(path),
        format="csv",
        connection=connection,
        columns=tuple(SampleColumn(name=name, original=original) for name, original in zip(names, fields, strict=True)),
        rows=landed,
        is_whole=landed < rows,
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        has_header=has_header,
        encoding=encoding,
        rejected=tuple(row[0] for row in rejected),
    )


def _dialect(connection: duckdb.DuckDBPyConnection, plain: Path) -> tuple[str, str, str, bool]:
    """Return the file's delimiter, quote and escape, and whether it seems to have a header."""
    with plain.open("rb") as stream:
        data = stream.read(READ_BYTES)
    first = data.removeprefix(UTF8_SIGNATURE).partition(b"\n")[0].decode(errors="replace")
    frequent = max(DELIMITERS, key=first.count)
    try:
        sniffed = connection.execute(
            f"select delimiter, quote, escape, hasheader from sniff_csv({_literal(plain)}, sample_size = 100000)"
        ).fetchone()
    except duckdb.Error:
        sniffed = None
    # Where lines have more or fewer fields, the sniffer finds a delimiter that none has.
    if sniffed is None or (sniffed[0] not in first and frequent in first):
        return frequent, '"', '"', True
    delimiter, quote, escape, has_header = sniffed
    quote = quote if len(quote) == 1 else '"'
    is_escaped = escape == "\\" and f"\\{quote}".encode() in data
    return delimiter, quote, "\\" if is_escaped else quote, has_header


def _read_json(connection: duckdb.DuckDBPyConnection, path: Path, plain: Path, rows: int) -> Sample:
    connection.execute(
        "create table documents as select row_number() over () as record_number, json "
        f"from (from read_ndjson_objects({_literal(plain)}, maximum_object_size = 33554432) limit {rows})"
    )
    found = connection.execute(
        """
        select key, list(distinct json_type(json, '$."' || replace(key, '"', '\\"') || '"'))
        from (
            select record_number, json, unnest(json_keys(json)) as key, generate_subscripts(json_keys(json), 1) as place
            from documents
            where json_type(json) = 'OBJECT'
        )
        group by key
        order by min(record_number), min(place)
        """
    ).fetchall()
    if not found:
        raise FileError(f"{path}: no line is a JSON object with a field. Is it NDJSON? Export it again.")
    columns = tuple(
        SampleColumn(name=snake_case(key), original=key, json_kinds=frozenset(kinds) - {"NULL"}) for key, kinds in found
    )
    _check_names(columns, path)
    values = ", ".join(
        f"nullif(json ->> {_literal(_json_path(column.original))}, '') as {quoted(column.name)}" for column in columns
    )
    connection.execute(f"create table sample as select record_number, {values} from documents order by record_number")
    landed = _count(connection)
    return Sample(
        path=str(path),
        format="jsonl",
        connection=connection,
        columns=columns,
        rows=landed,
        is_whole=landed < rows,
    )


def _check_names(columns: Sequence[SampleColumn], path: Path) -> None:
    names: dict[str, str] = {}
    for column in columns:
        if not column.name:
            raise FileError(f"{path}: the field {column.original!r} has no letter in its name. Rename it.")
        if column.name in names:
            raise FileError(
                f"{path}: the fields {names[column.name]!r} and {column.original!r} are both named {column.name}. "
                "Rename one of them."
            )
        names[column.name] = column.original


def _json_path(field: str) -> str:
    return '$."' + field.replace('"', '\\"') + '"'


def _as_map(names: Sequence[str]) -> str:
    return "{" + ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names) + "}"


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select count(*) from sample").fetchone()
    return 0 if row is None else int(row[0])
