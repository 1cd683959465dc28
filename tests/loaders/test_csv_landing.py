"""CSV files landed on a real server, against Python's csv module."""

import csv
import gzip
import importlib.util
import io
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders import blocks, dealing
from tests.conftest import Project
from tests.loaders.oracle import count, csv_rows, landed, ledger_agrees

# Everything that text in UTF-8 can hold but NUL, which PostgreSQL's text cannot.
fields = st.text(
    alphabet=st.one_of(
        st.sampled_from('a,"\n\r\t\\.; é€'), st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    ),
    max_size=12,
)
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(fields, min_size=width, max_size=width), max_size=20)
)
COMPRESSIONS = {"csv": bytes, "csv.gz": gzip.compress, "csv.zst": zstandard.compress}


def vega_files() -> list[Path]:
    spec = importlib.util.find_spec("vega_datasets")
    assert spec is not None
    assert spec.origin is not None
    return sorted((Path(spec.origin).parent / "_data").glob("*.csv"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=TABLES,
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    byte_order_mark=st.booleans(),
    last_line_end=st.booleans(),
    block_bytes=st.integers(1, 64),
    copy_bytes=st.integers(1, 256),
    suffix=st.sampled_from(sorted(COMPRESSIONS)),
)
def test_what_csv_reads_lands(
    project: Project,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[list[str]],
    line_end: str,
    quoting: int,
    byte_order_mark: bool,
    last_line_end: bool,
    block_bytes: int,
    copy_bytes: int,
    suffix: str,
) -> None:
    header = [f"c{number}" for number in range(len(rows[0]) if rows else 2)]
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows([header, *rows])  # type: ignore[arg-type]
    data = text.getvalue().encode("utf-8-sig" if byte_order_mark else "utf-8")
    if not last_line_end:
        data = data.removesuffix(line_end.encode())
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(dealing, "COPY_BYTES", copy_bytes)
    project.declare("fuzz")
    for old in (project.bronze / "fuzz").iterdir():
        old.unlink()
    project.write(f"fuzz/rows.{suffix}", COMPRESSIONS[suffix](data))

    report = project.load("fuzz", full_refresh=True)

    assert report.problems == []
    assert report.loads[0].records == len(rows)
    assert landed(connection, "fuzz", header) == Counter(map(tuple, rows))
    ledger_agrees(connection, "fuzz")


@pytest.mark.parametrize("path", vega_files(), ids=lambda path: path.name)
def test_files_that_nobody_here_wrote(project: Project, connection: psycopg.Connection, path: Path) -> None:
    header, rows = csv_rows(path.read_bytes())
    project.declare("vega")
    project.write(f"vega/{path.name}", path.read_bytes())
    report = project.load("vega")
    assert report.problems == []
    assert report.loads[0].records == len(rows)
    assert landed(connection, "vega", header) == Counter(map(tuple, rows))
    ledger_agrees(connection, "vega")


def test_a_large_file_is_shared_by_workers(project: Project, connection: psycopg.Connection) -> None:
    rows = [
        [str(number), f'say "{number}",\nthen go' if number % 97 == 0 else "plain " * 12] for number in range(150_000)
    ]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "words"], *rows])
    project.declare("large")
    project.write("large/rows.csv", text.getvalue())
    report = project.load("large", workers=4)
    assert report.loads[0].records == len(rows)
    assert landed(connection, "large", ["id", "words"]) == Counter(map(tuple, rows))


def test_headers_may_differ_from_file_to_file(project: Project, connection: psycopg.Connection) -> None:
    project.declare("drift")
    project.write("drift/1.csv", "id,isMarried\n1,true\n")
    assert project.load("drift").problems == []
    project.write("drift/2.csv", "city,isMarried,id\nRome,false,2\n")
    project.write("drift/3.csv", "id\n3\n")
    assert project.load("drift").problems == []
    rows = connection.execute("select id, is_married, city from staging.drift__rows order by id").fetchall()
    assert rows == [("1", "true", None), ("2", "false", "Rome"), ("3", None, None)]


def test_a_declared_dialect_is_obeyed(project: Project, connection: psycopg.Connection) -> None:
    project.declare("dialect", delimiter=";", quote="'", null_text="NA", encoding="latin1")
    project.write("dialect/1.csv", "id;name\n1;'Müller; O''Brien'\nNA;'NA'\n".encode("latin1"))
    assert project.load("dialect").problems == []
    rows = connection.execute("select id, name from staging.dialect__rows order by id").fetchall()
    assert rows == [("1", "Müller; O'Brien"), (None, "NA")]


def test_end_of_data_marker_is_text(project: Project, connection: psycopg.Connection) -> None:
    project.declare("marker")
    project.write("marker/1.csv", "line\n\\.\nafter\n")
    assert project.load("marker").loads[0].records == 2
    assert landed(connection, "marker", ["line"]) == Counter([("\\.",), ("after",)])


def test_rows_carry_their_file(project: Project, connection: psycopg.Connection) -> None:
    project.declare("lineage")
    for number in range(50):
        project.write(f"lineage/{number:02}.csv", "id\n" + f"{number}\n" * (number + 1))
    assert [load.files for load in project.load("lineage", batch_files=20).loads] == [20, 20, 10]
    wrong = count(
        connection,
        "select count(*) from staging.lineage__rows inner join ops.files on file_id = _file_id "
        "where path <> 'lineage/' || lpad(id, 2, '0') || '.csv' or _load_id <> load_id",
    )
    assert wrong == 0
    ledger_agrees(connection, "lineage")
    # The order of file ids in a load is the order of names.
    paths = [row[0] for row in connection.execute("select path from ops.files order by file_id")]
    assert paths == sorted(paths)


def test_ndjson_lands_unparsed(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed", format="jsonl")
    lines = ['{"a": "x,\\"y\\"\\n"}', '{"a": null, "b": [1, 2]}', '"text"']
    project.write("feed/1.jsonl.gz", gzip.compress("\n".join(lines).encode()))
    assert project.load("feed").loads[0].records == 3
    found = connection.execute("select raw = any(%s::jsonb[]) from staging.feed__rows", [lines]).fetchall()
    assert found == [(True,)] * 3


def test_records_that_fit_twice_on_a_page_stay_uncompressed(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed", format="jsonl")
    project.write("feed/1.jsonl", "".join(f'{{"a": "{"x" * size}"}}\n' for size in (3_900, 4_200)).encode())
    project.load("feed")
    kinds = "select pg_column_compression(raw) from staging.feed__rows order by length(raw::text)"
    assert connection.execute(kinds).fetchall() == [(None,), ("pglz",)]


def test_hive_folders_and_record_numbers_are_lineage(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed", format="jsonl", record_number=True)
    for day in ("01", "02"):
        lines = "".join(f'{{"day": "{day}", "line": {line}}}\n' for line in range(1, 20_001))
        project.write(f"feed/date=2026-01-{day}/run_id=a%3A{day}/part.jsonl", lines)
    assert project.load("feed").loads[0].records == 40_000
    wrong = count(
        connection,
        "select count(*) from staging.feed__rows inner join ops.files on file_id = _file_id "
        "where (raw ->> 'line')::integer <> _record_number "
        "or hive_keys <> jsonb_build_object('date', '2026-01-' || (raw ->> 'day'), 'run_id', 'a:' || (raw ->> 'day'))",
    )
    assert wrong == 0


def test_described_columns_are_there_before_the_first_file(project: Project, connection: psycopg.Connection) -> None:
    project.declare("later", described=["id", "name", "_load_id"])
    assert project.load("later").found == 0
    assert landed(connection, "later", ["id", "name"]) == Counter()
    project.write("later/rows.csv", "name,id,more\nAda,1,x\n")
    assert project.load("later").problems == []
    assert landed(connection, "later", ["id", "name", "more"]) == Counter({("1", "Ada", "x"): 1})
