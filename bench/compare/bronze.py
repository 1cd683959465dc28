"""The bronze files of `python -m bench load`, and a project that declares them."""

import json
import shutil
from itertools import islice
from pathlib import Path

import duckdb

from bench.generate.people import FILE_NAME, generate_people

SEED = 1
SMALL_FILES = 1000
# Of one row each: a rerun reads none of them.
UNCHANGED_FILES = (1000, 10_000)
BLOCK_BYTES = 1024**2
# About 290 bytes a document, one array and one object in it.
DOCUMENTS = """
copy (
    select
        id as "idMember", id % 50 as "idBranch", name as "registerName", age, "isMarried",
        {'city': city, 'state': state, 'country': country} as address,
        [{'idPhone': id * 2, 'contactType': 'Email', 'description': concat('member', id, '@example.com')}] as contacts,
        '2026-01-11T03:00:00' as "registerDate", 'active' as status
    from read_csv($persons, header = true)
) to '{target}' (format json, compression gzip)
"""
# The persons in other kinds of file: the declaration of each, and how DuckDB writes it.
KINDS = {
    "quoted": ({}, "persons.csv", "select *", "(header, force_quote *)"),
    "newlines": ({}, "persons.csv", "select * replace (name || chr(10) as name)", "(header)"),
    "parquet": ({"format": "parquet"}, "persons.parquet", "select *", ""),
}
KIND = "copy ({query} from read_csv($persons, header = true, all_varchar = true)) to '{target}' {options}"


class Bronze:
    """A project folder whose bronze files have a number of persons in all; each kind of file is made where wanted."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.rows = rows
        # The server's account reads the file of COPY FROM, and the folder came with mode 700.
        folder.chmod(0o755)
        tables = {
            "persons": {"path": "persons/*.csv"},
            "documents": {"path": "documents/*.jsonl.gz", "format": "jsonl"},
            "small_files": {"path": "small_files/*.csv"},
            **{name: {"path": f"{name}/*", **declared} for name, (declared, *_) in KINDS.items()},
            **{f"unchanged_{count}": {"path": f"unchanged_{count}/*.csv"} for count in UNCHANGED_FILES},
        }
        declared = [{"name": name, "config": {"meta": {"bronze": bronze}}} for name, bronze in tables.items()]
        # JSON is YAML.
        sources = json.dumps({"sources": [{"name": "bench", "schema": "staging", "tables": declared}]})
        path = folder / "models" / "staging" / "bench" / "_bench__sources.yml"
        path.parent.mkdir(parents=True)
        path.write_text(sources)

    @property
    def root(self) -> Path:
        """The bronze root."""
        return self.folder / "bronze"

    def persons(self) -> Path:
        """Return the one big CSV file."""
        path = self.root / "persons" / FILE_NAME
        return path if path.exists() else generate_people(path.parent, rows=self.rows, seed=SEED).path

    def halves(self) -> tuple[Path, Path]:
        """Return the persons in two CSV files of equal size, each with the header."""
        whole, folder = self.persons(), self.folder / "halves"
        paths = folder / "0.csv", folder / "1.csv"
        if not folder.exists():
            folder.mkdir()
            with whole.open("rb") as persons, paths[0].open("wb") as first, paths[1].open("wb") as second:
                header = persons.readline()
                second.write(header)
                first.write(header)
                # No field has a newline in it.
                half = whole.stat().st_size // 2
                while (left := half - persons.tell()) > 0:
                    first.writelines(persons.readlines(min(left, BLOCK_BYTES)))
                shutil.copyfileobj(persons, second)
        return paths

    def documents(self) -> Path:
        """Return the one big file of gzipped NDJSON, a document a person."""
        path = self.root / "documents" / "documents.jsonl.gz"
        if not path.exists():
            self._write(path, DOCUMENTS)
        return path

    def kinds(self) -> list[str]:
        """Write the persons in every other kind of file; return the tables that are declared for them."""
        for name, (_, file_name, query, options) in KINDS.items():
            self._write(self.root / name / file_name, KIND.replace("{query}", query).replace("{options}", options))
        return list(KINDS)

    def small_files(self) -> int:
        """Write the persons once more as small files of equal size; return how many persons they hold."""
        folder = self.root / "small_files"
        folder.mkdir(parents=True)
        files = min(SMALL_FILES, self.rows)
        rows = self.rows // files
        with self.persons().open("rb") as persons:
            header = persons.readline()
            for number in range(files):
                (folder / f"{number:05}.csv").write_bytes(header + b"".join(islice(persons, rows)))
        return files * rows

    def unchanged_files(self, count: int) -> None:
        """Write so many files of one row."""
        folder = self.root / f"unchanged_{count}"
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:05}.csv").write_text(f"id\n{number}\n")

    def _write(self, path: Path, copy: str) -> None:
        path.parent.mkdir(parents=True)
        target = str(path).replace("'", "''")
        with duckdb.connect() as database:
            database.execute(copy.replace("{target}", target), {"persons": str(self.persons())})

    def columns(self) -> list[str]:
        """Return the names in the persons' header."""
        with self.persons().open() as persons:
            return persons.readline().strip().split(",")
