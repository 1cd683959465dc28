"""CSV files that nobody here wrote: all that the installed Python packages bring, cell by cell as csv reads them.

`pytest -m slow -s tests/loaders/test_corpus.py` lands every one and prints why those are refused that are; the suite
takes one in eight.
"""

import csv
import io
import re
import shutil
import sys
import tarfile
import zipfile
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from loaders.header import column_names
from tests.conftest import Project

# What no setting can fix: the records of a file have other numbers of fields than its header.
HOPELESS = re.compile(r"missing data for column|extra data after last expected column|is empty: not even a header")


def corpus() -> dict[str, bytes]:
    """Return the CSV files by package and path, out of archives, too."""
    found: dict[str, bytes] = {}
    for package in distributions():
        for file in package.files or ():
            name, path = str(file), Path(str(file.locate()))
            if not path.is_file():
                continue
            if name.endswith(".csv"):
                found[f"{package.name}/{name}"] = path.read_bytes()
            elif name.endswith(".csv.zip"):
                with zipfile.ZipFile(path) as archive:
                    found[f"{package.name}/{name}"] = archive.read(archive.namelist()[0])
            elif name == "pydataset/resources.tar.gz":
                with tarfile.open(path) as archive:
                    for member in archive:
                        if member.name.endswith(".csv") and (content := archive.extractfile(member)):
                            found[f"{package.name}/{member.name}"] = content.read()
    return found


def encoding_of(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def delimiter_of(data: bytes) -> str:
    header = data.split(b"\n", 1)[0].decode("latin-1")
    return max(",;\t|", key=header.count)


@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_every_file_lands_as_csv_reads_it(project: Project, connection: psycopg.Connection, one_in: int) -> None:
    csv.field_size_limit(sys.maxsize)
    files = [(name, data) for name, data in sorted(corpus().items()) if data.strip()][::one_in]
    landed, refused, rewritten, different = 0, Counter[str](), 0, []
    for number, (name, data) in enumerate(files):
        source = f"file_{number}"
        # Or the loader would read the declarations of all files before.
        shutil.rmtree(project.folder / "models", ignore_errors=True)
        encoding, delimiter = encoding_of(data), delimiter_of(data)
        project.declare(source, delimiter=delimiter, encoding=encoding)
        project.write(f"{source}/1.csv", data)
        report = project.load(source)
        if report.problems:
            reason = HOPELESS.search(str(report.problems[0]))
            refused[reason[0] if reason else f"{name}: {report.problems[0]}"] += 1
            continue
        rewritten += report.loads[0].rewritten
        header, *rows = csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter)
        names = sql.SQL(", ").join(
            sql.SQL("coalesce({}, '')").format(sql.Identifier(column)) for column in column_names(header)
        )
        query = sql.SQL("select {} from staging.{}").format(names, sql.Identifier(f"{source}__rows"))
        if Counter(connection.execute(query).fetchall()) == Counter(tuple(row) for row in rows if row):
            landed += 1
        else:
            different.append(name)
    print(f"\n{len(files)} files: {landed} landed, {rewritten} records rewritten; refused: {dict(refused)}")
    assert different == [], "files that changed in silence"
    assert all(HOPELESS.fullmatch(reason) for reason in refused), refused
    assert landed >= 0.97 * len(files)
