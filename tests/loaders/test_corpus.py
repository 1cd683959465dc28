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

# What no setting can fix: a record has more fields than the header names, and they are not empty.
HOPELESS = re.compile(r"extra data after last expected column|is empty: not even a header")


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
                        # Not what macOS keeps beside each file.
                        is_data = member.name.endswith(".csv") and "/._" not in member.name
                        if is_data and (content := archive.extractfile(member)):
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


def is_landed(project: Project, connection: psycopg.Connection, source: str, data: bytes, **declared: str) -> bool:
    """Compare what has landed with what csv reads, short records filled up as the source declares."""
    text = io.StringIO(data.decode(declared["encoding"]), newline="")
    header, *rows = csv.reader(text, delimiter=declared["delimiter"])
    width = len(header)
    expected = Counter((*row, *[""] * (width - len(row)))[:width] for row in rows if row)
    names = sql.SQL(", ").join(
        sql.SQL("coalesce({}, '')").format(sql.Identifier(column)) for column in column_names(header)
    )
    query = sql.SQL("select {} from staging.{}").format(names, sql.Identifier(f"{source}__rows"))
    return Counter(connection.execute(query).fetchall()) == expected


@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_every_file_lands_as_csv_reads_it(project: Project, connection: psycopg.Connection, one_in: int) -> None:
    csv.field_size_limit(sys.maxsize)
    files = [(name, data) for name, data in sorted(corpus().items()) if data.strip()][::one_in]
    counts, refused, different = Counter[str](), Counter[str](), []
    for number, (name, data) in enumerate(files):
        source = f"file_{number}"
        declared = {"encoding": encoding_of(data), "delimiter": delimiter_of(data)}
        # Or the loader would read the declarations of all files before.
        shutil.rmtree(project.folder / "models", ignore_errors=True)
        project.declare(source, **declared)
        project.write(f"{source}/1.csv", data)
        report = project.load(source)
        if report.problems and "missing data for column" in str(report.problems[0]):
            project.declare(source, **declared, ragged="pad")
            report = project.load(source)
            counts["padded"] += 1
        if report.problems:
            reason = HOPELESS.search(str(report.problems[0]))
            refused[reason[0] if reason else f"{name}: {report.problems[0]}"] += 1
            continue
        counts["rewritten records"] += report.loads[0].rewritten
        if is_landed(project, connection, source, data, **declared):
            counts["landed"] += 1
        else:
            different.append(name)
    print(f"\n{len(files)} files: {dict(counts)}; refused: {dict(refused)}")
    assert different == [], "files that changed in silence"
    assert all(HOPELESS.fullmatch(reason) for reason in refused), refused
    assert counts["landed"] >= 0.97 * len(files)
