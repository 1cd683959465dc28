"""Parquet and JSON arrays as the CSV that COPY gets."""

import csv
import io
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg
import pytest

from loaders.duckdb_file import ConvertedFile
from loaders.errors import FileError
from tests.conftest import Project

ROWS = """
    select * from (values
        (1, 'plain', null, [1, 2], {'a': 'x"y'}, true, 1.50::decimal(5, 2), timestamptz '2026-01-31 03:00:00-05'),
        (2, 'a "quoted", text' || chr(10), '', null, null, null, null, null)
    ) as rows (id, "The Name", empty, list, struct, flag, amount, day)
"""


def converted(path: Path, kind: str) -> str:
    size = path.stat().st_size
    with path.open("rb") as stored, closing(ConvertedFile(path.name, stored, kind, size)) as file:
        data = b""
        while part := file.read(17):
            data += part
        assert file.position == size
        return data.decode()


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"copy ({ROWS}) to '{path}' (format parquet)")
    monkeypatch.setenv("TZ", "America/Lima")
    text = converted(path, "parquet")
    header, first, second = csv.reader(io.StringIO(text, newline=""))
    assert header == ["id", "The Name", "empty", "list", "struct", "flag", "amount", "day"]
    assert first == ["1", "plain", r"\N", "[1,2]", '{"a":"x\\"y"}', "true", "1.50", "2026-01-31 08:00:00+00"]
    assert second[1] == 'a "quoted", text\n'
    assert text.endswith('\n",,' + r"\N,\N,\N,\N,\N" + "\n"), "the empty text is not NULL"


def test_a_json_array(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"id": 1.50, "tags": ["a"]}, {"id": "x", "tags": null, "other": {"b": null}}]')
    header, first, second = csv.reader(io.StringIO(converted(path, "json"), newline=""))
    assert header == ["id", "tags", "other"]
    assert (first, second) == (["1.5", '["a"]', r"\N"], ["x", r"\N", '{"b":null}'])


def test_null_the_empty_text_and_the_text_that_stands_for_null_stay_apart(
    project: Project, connection: psycopg.Connection
) -> None:
    texts = [None, "", r"\N", r"\.", "#", " ", '"', "\n"]
    for table, columns in (("wide", "text, text as again"), ("narrow", "text")):
        project.declare(table, format="parquet")
        path = project.write(f"{table}/a.parquet", "")
        with duckdb.connect() as database:
            database.execute("create table texts as select unnest(?::varchar[]) as text", [texts])
            database.execute(f"copy (select {columns} from texts) to '{path}' (format parquet)")
        assert project.load(table).problems == []
        rows = connection.execute(f"select text from staging.{table}__rows order by ctid".encode()).fetchall()
        assert [text for (text,) in rows] == texts


def test_a_file_that_is_closed_early(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"copy (select range as id, repeat('x', 100) as x from range(200000)) to '{path}' (format parquet)")
    with path.open("rb") as stored:
        file = ConvertedFile("a", stored, "parquet", 1)
        assert file.read(10) == b"id,x\n0,xxx"
        file.close()


@pytest.mark.parametrize("data", [b"PAR1 and no more", b""])
def test_a_damaged_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"a\.parquet cannot be read"):
        converted(path, "parquet")
