"""Files as they are stored, read as plain bytes or refused by what they are."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import zstandard

from loaders.errors import FileError
from loaders.open_file import OpenFile

TEXT = "name,age\nÅsa,41\n" * 1000


def read(data: bytes, encoding: str | None = None) -> str:
    file = OpenFile("a/file", io.BytesIO(data), encoding=encoding)
    parts = []
    while part := file.read(1001):
        parts.append(part)
    return b"".join(parts).decode()


def zipped(**members: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return archive.getvalue()


@pytest.mark.parametrize(
    "data",
    [TEXT.encode(), gzip.compress(TEXT.encode()), zstandard.compress(TEXT.encode()), zipped(a=TEXT)],
    ids=["plain", "gzip", "zstd", "zip"],
)
def test_wrapped_text(data: bytes) -> None:
    assert read(data) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_in_an_encoding_that_postgresql_does_not_know(encoding: str) -> None:
    assert read(TEXT.encode(encoding), encoding) == TEXT
    assert read(gzip.compress(TEXT.encode(encoding)), encoding) == TEXT


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (zipped(a="1", b="2"), "zip archive of 2 files"),
        (zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "Excel workbook"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "Excel workbook: save it as CSV"),
        (b"%PDF-1.7", "a PDF document"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"PAR1....", "declare `format: parquet`"),
        (zipped(a=TEXT)[:-30], "damaged zip archive"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-30], "damaged compressed data"),
    ],
)
def test_files_that_are_refused_by_what_they_are(data: bytes, said: str) -> None:
    with pytest.raises(FileError, match="a/file.*" + said):
        read(data)


def test_text_cut_in_a_character(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Correct the source's encoding"):
        read(TEXT.encode("utf-16")[:-1], "utf-16")
