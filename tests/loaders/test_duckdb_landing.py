"""What lands in a DuckDB file is what the loader lands in PostgreSQL: values, lineage, what a delivery means."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import zstandard

from loaders.bronze import Folder
from loaders.duckdb_landing import Landed, land_sources
from loaders.errors import FileError
from loaders.sources import read_sources, select_sources
from tests.conftest import Project

Row = tuple[Any, ...]


@pytest.fixture
def file(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(tmp_path / "ingot.duckdb")


def land(file: duckdb.DuckDBPyConnection, project: Project, source: str) -> list[Landed]:
    return land_sources(file, select_sources(read_sources(project.folder), [source]), Folder(project.bronze))


def in_duckdb(file: duckdb.DuckDBPyConnection, source: str) -> tuple[list[str], list[Row]]:
    found = file.execute(
        f"select columns(* exclude (_load_id, _file_id)) from (select files.path, landed.* "
        f"from staging.{source}__rows as landed join ops.files as files on files.file_id = landed._file_id)"
    )
    columns = [column[0] for column in found.description or []]
    order = sorted(range(len(columns)), key=lambda at: columns[at])
    rows = [tuple(row[at] for at in order) for row in found.fetchall()]
    return sorted(columns), sorted(rows, key=repr)


def in_postgresql(connection: psycopg.Connection, source: str) -> tuple[list[str], list[Row]]:
    found = connection.execute(
        f"select path, landed.* from staging.{source}__rows as landed join ops.files on file_id = landed._file_id "
        "join ops.loads on loads.load_id = landed._load_id where status = 'complete'".encode()
    )
    columns = [column.name for column in found.description or []]
    order = [at for at in sorted(range(len(columns)), key=lambda at: columns[at]) if columns[at] not in OWN]
    rows = [tuple(row[at] for at in order) for row in found.fetchall()]
    return [columns[at] for at in order], sorted(rows, key=repr)


OWN = {"_load_id", "_file_id"}


def zipped(data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("rows.csv", data)
    return archive.getvalue()


PLAIN = b'id,isMarried,Long Name\n1,true,"a, ""b""\nc"\n2,,""\n3,"NULL",NULL\n4, x ,\xc3\xa9\n'
FORMATS: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = {
    "csv": ({}, {"1.csv": PLAIN, "2.csv": b"Long Name,id,extra\r\nx,9,1\r\ny,8,\r\n", "3.csv": b"id\n7"}),
    "compressed": (
        {"record_number": True},
        {"1.csv.gz": gzip.compress(PLAIN), "2.csv.zst": zstandard.compress(PLAIN + b"5,a,b\n"), "3.zip": zipped(PLAIN)},
    ),
    "stray quotes": ({}, {"1.csv": b'id,length,name\n1,5" nail,x\n2,6" nail,"y"\n3,"a"b,z\n'}),
    "null text": ({"null_text": "NULL", "delimiter": ";"}, {"1.csv": b'a;b\nNULL;"NULL"\n;""\n'}),
    "null text that is a load's number": ({"null_text": "1"}, {"1.csv": b"a,b\n1,2\n2,1\n"}),
    "tolerant": (
        {"comment": "#", "ragged": "pad", "trim": True, "skip_lines": 1},
        {"1.csv": b'about\n# remark\na,b,c\n1, 2\n\n3, "x, y",z,,\n# more\n'},
    ),
    "blank lines": ({}, {"1.csv": b"a,b\n\n1,2\n\n\n3,4\n\n"}),
    "no quotes": ({"quote": "none", "header": False, "columns": ["a", "b"]}, {"1.csv": b'1,5" nail\n"2",x\n'}),
    "latin 1": ({"encoding": "latin1"}, {"1.csv": "id,städte\n1,Köln\n".encode("latin1")}),
    "utf 16": ({"encoding": "utf-16"}, {"1.csv": "id,name\n1,Köln\n".encode("utf-16")}),
    "jsonl": (
        {"format": "jsonl", "record_number": True, "path": "things/**/*.jsonl"},
        {
            "run_id=1/1.jsonl": b'{"a": 1, "b": "x\\u00e9,\\"y"}\n{"a": null}\n\n[1]\n"text"\n',
            "run_id=1/2.jsonl": b'{"a": 2}\r\n{"a": 3}',
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lands_alike(
    project: Project, connection: psycopg.Connection, file: duckdb.DuckDBPyConnection, name: str
) -> None:
    declared, files = FORMATS[name]
    project.declare("things", **declared)
    for path, data in files.items():
        project.write(f"things/{path}", data)
    assert project.load("things").problems == []
    [landed] = land(file, project, "things")
    columns, rows = in_duckdb(file, "things")
    expected_columns, expected = in_postgresql(connection, "things")
    assert columns == expected_columns
    if declared.get("format") == "jsonl":
        # As it was written, not as jsonb writes it.
        at = columns.index("raw")
        rows = [
            (*row[:at], file.execute("select ?::json::varchar", [row[at]]).fetchone(), *row[at + 1 :]) for row in rows
        ]
        rows, expected = [row[:at] for row in rows], [row[:at] for row in expected]
    assert rows == expected
    assert (landed.files, landed.records) == (len(files), len(expected))


def test_parquet_and_json_arrays_land_alike(
    project: Project, connection: psycopg.Connection, file: duckdb.DuckDBPyConnection
) -> None:
    for kind in ("parquet", "json"):
        project.declare(kind, format=kind)
        array = ", array true" if kind == "json" else ""
        duckdb.execute(
            "copy (select 1 as id, 'a \"b\"' as \"The Name\", [1, 2] as list union all select 2, '', null) "
            f"to '{project.bronze / kind / '1'}' (format {kind}{array})"
        )
        assert project.load(kind).problems == []
        land(file, project, kind)
        assert in_duckdb(file, kind) == in_postgresql(connection, kind)


def changes(project: Project) -> list[Callable[[], object]]:
    return [
        lambda: project.write("people/run_id=2/1.csv", "id,name\n1,a\n2,b\n"),
        lambda: project.write("people/run_id=2/2.csv", "id,name\n3,c\n"),
        lambda: project.write("people/run_id=3/1.csv", "id,name,age\n1,changed,7\n"),
        lambda: project.write("people/run_id=1/1.csv", "id,name\n9,late\n"),
        lambda: project.write("people/run_id=3/1.csv", "id,name\n4,other\n1,once more\n"),
        lambda: None,
    ]


@pytest.mark.parametrize("delivers", ["changes", "partitions", "full"])
def test_a_delivery_means_the_same(
    project: Project, connection: psycopg.Connection, file: duckdb.DuckDBPyConnection, delivers: str
) -> None:
    project.declare("people", delivers=delivers)
    for change in changes(project):
        change()
        assert project.load("people").problems == []
        land(file, project, "people")
        assert in_duckdb(file, "people") == in_postgresql(connection, "people")
        replaces = "select replaces from ops.loads where status = 'complete' order by load_id"
        assert file.execute(replaces).fetchall() == connection.execute(replaces).fetchall()


def test_a_file_is_its_path_size_and_time(project: Project, file: duckdb.DuckDBPyConnection) -> None:
    project.declare("people")
    path = project.write("people/1.csv", "id\n1\n")
    assert [one.records for one in land(file, project, "people")] == [1]
    assert land(file, project, "people") == []
    os.utime(path, ns=(1, 1))
    assert [one.load_id for one in land(file, project, "people")] == [2]


@pytest.mark.parametrize(
    ("declared", "data", "said"),
    [
        ({}, b"id,name\n1,a\n2\n", "people/2.csv"),
        ({}, b'id,name\n1,"a\n', r"people/2.csv, record 1 \(byte 8\): unterminated quote"),
        ({}, b"id,name\n1,\xff\n", "people/2.csv"),
        ({}, b"id,name\n1,a\0\n", "people/2.csv: a NUL byte"),
        ({}, b"", "people/2.csv is empty"),
        ({"format": "jsonl"}, b'{"a": 1}\n{"a": \n', "people/2.csv.*alformed JSON"),
        ({}, gzip.compress(b"id,name\n1,a\n", mtime=0)[:-9], "people/2.csv: damaged compressed data"),
    ],
)
def test_a_file_that_cannot_be_read_lands_nothing_and_is_named(
    project: Project, file: duckdb.DuckDBPyConnection, declared: dict[str, str], data: bytes, said: str
) -> None:
    project.declare("people", **declared)
    good = b'{"a": 1}\n' if declared else b"id,name\n1,a\n"
    project.write("people/1.csv", good)
    land(file, project, "people")
    for number in range(2, 5):
        project.write(f"people/{number}.csv", data if number == 2 else good)
    with pytest.raises(FileError, match=said):
        land(file, project, "people")
    assert file.execute("select count(*) from staging.people__rows").fetchall() == [(1,)]
    assert file.execute("select count(*), count(distinct load_id) from ops.files").fetchall() == [(1, 1)]
    project.write("people/2.csv", good)
    assert [one.records for one in land(file, project, "people")] == [3]


def test_the_file_at_fault_is_named_while_another_is_being_read(
    project: Project, file: duckdb.DuckDBPyConnection
) -> None:
    """Whoever still writes the large one when DuckDB stops has not failed."""
    project.declare("people")
    project.write("people/1.csv", "id,name\n" + "".join(f"{number},{'x' * 200}\n" for number in range(250_000)))
    project.write("people/2.csv", "id,name\n1,a\n2,b,ragged\n")
    with pytest.raises(FileError, match=r"people/2\.csv: DuckDB cannot read it"):
        land(file, project, "people")
    project.write("people/2.csv", "id,name\n1,a\n")
    assert [one.records for one in land(file, project, "people")] == [250_001]
