"""Records that COPY refuses: kept with their place and reason, the rest landed, or nothing of it visible."""

import psycopg
import pytest

from loaders.errors import TooManyRejects
from tests.conftest import Project
from tests.loaders.oracle import count, landed, ledger_agrees

BAD_RECORDS = {
    "too few columns": (b"bad\n", "22P04"),
    "too many columns": (b"bad,b,c\n", "22P04"),
    "invalid UTF-8": (b"bad,\xff\xfe\n", "22021"),
    "NUL byte": (b"bad,a\0b\n", "22021"),
}


def file_with(bad: bytes, *, at: int, records: int = 1000) -> bytes:
    lines = [b"%d,name %d\n" % (number, number) for number in range(records)]
    lines[at] = bad
    return b"id,name\n" + b"".join(lines)


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_lenient_keeps_the_record_and_lands_the_rest(
    project: Project, connection: psycopg.Connection, name: str
) -> None:
    bad, sqlstate = BAD_RECORDS[name]
    data = file_with(bad, at=700)
    project.declare("bad")
    project.write("bad/1.csv", data)
    report = project.load("bad", max_rejects=1)
    assert report.problems == []
    assert (report.loads[0].records, report.loads[0].rejected) == (999, 1)
    rejected = connection.execute("select record_number, byte_offset, sqlstate, raw from ops.rejected_rows").fetchall()
    assert rejected == [(701, data.index(b"\n" + bad) + 1, sqlstate, bad)]
    ledger_agrees(connection, "bad")


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_strict_names_the_record_and_shows_nothing(project: Project, connection: psycopg.Connection, name: str) -> None:
    project.declare("bad")
    project.write("bad/1.csv", file_with(BAD_RECORDS[name][0], at=700))
    report = project.load("bad")
    [problem] = report.problems
    assert isinstance(problem, TooManyRejects)
    assert "bad.rows: bad/1.csv, record 701" in str(problem)
    assert "--max-rejects" in str(problem)
    assert count(connection, "select count(*) from staging.bad__rows") == 0
    assert count(connection, "select count(*) from ops.loads where status = 'failed'") == 1
    ledger_agrees(connection, "bad")
    # The failed load released the file: lenient, it lands.
    assert project.load("bad", max_rejects=1).loads[0].records == 999


def test_an_unterminated_quote_is_one_rejected_line(project: Project, connection: psycopg.Connection) -> None:
    project.declare("bad")
    project.write("bad/1.csv", file_with(b'5,"open\n', at=5))
    report = project.load("bad", max_rejects=1)
    assert (report.loads[0].records, report.loads[0].rejected) == (999, 1)
    assert connection.execute("select record_number, raw from ops.rejected_rows").fetchall() == [(6, b'5,"open\n')]


def test_mixed_line_ends_land(project: Project, connection: psycopg.Connection) -> None:
    project.declare("mixed")
    project.write("mixed/1.csv", b"id,name\r\n1,a\n2,b\r\n3,c\n4,d\r\n")
    assert project.load("mixed").loads[0].records == 4
    assert set(landed(connection, "mixed", ["id", "name"])) == {("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")}


def test_one_reject_too_many_fails_the_load(project: Project, connection: psycopg.Connection) -> None:
    lines = [b"%d,x\n" % number if number % 10 else b"ragged\n" for number in range(1, 101)]
    project.declare("bad")
    project.write("bad/1.csv", b"id,name\n" + b"".join(lines))
    assert project.load("bad", max_rejects=9).problems
    assert count(connection, "select count(*) from staging.bad__rows") == 0
    assert project.load("bad", max_rejects=10).loads[0].rejected == 10
    ledger_agrees(connection, "bad")
    rejects = connection.execute(
        "select record_number from ops.rejected_rows inner join ops.loads using (load_id) "
        "where status = 'complete' order by 1"
    )
    assert [row[0] for row in rejects] == list(range(10, 101, 10))


def test_rejects_of_many_files_keep_their_places(project: Project, connection: psycopg.Connection) -> None:
    project.declare("bad")
    for number in range(30):
        project.write(f"bad/{number:02}.csv", file_with(b"bad %d\n" % number, at=number, records=100))
    report = project.load("bad", max_rejects=1, workers=4)
    assert (report.loads[0].records, report.loads[0].rejected) == (2970, 30)
    rows = connection.execute(
        "select path, record_number, raw from ops.rejected_rows inner join ops.files using (file_id) order by 1"
    )
    assert rows.fetchall() == [(f"bad/{n:02}.csv", n + 1, b"bad %d\n" % n) for n in range(30)]
    ledger_agrees(connection, "bad")


def test_invalid_json_is_rejected_by_line(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed", format="jsonl")
    lines = [b'{"a": 1}', b"{oops", b'{"a": "\x01"}', b'{"a": 2}', b'{"a": "\xff"}', b'{"a": 3}']
    project.write("feed/1.jsonl", b"\n".join(lines))
    report = project.load("feed", max_rejects=3)
    assert (report.loads[0].records, report.loads[0].rejected) == (3, 3)
    rows = connection.execute("select record_number, raw from ops.rejected_rows order by 1").fetchall()
    assert rows == [(number + 1, lines[number] + b"\n") for number in (1, 2, 4)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_blank_lines_are_no_records(project: Project, connection: psycopg.Connection, line_end: str) -> None:
    project.declare("bad")
    lines = [
        "id,name",
        "",
        *(f"{number},x{line_end if number % 3 else ''}" for number in range(3000)),
        "ragged",
        "",
        "9,y",
    ]
    data = line_end.join(lines).encode()
    project.write("bad/1.csv", data)
    project.write("bad/2.csv", "only\n\n1\n\n")
    report = project.load("bad", max_rejects=1)
    assert [problem.args[0].split(" has none")[0] for problem in report.problems] == []
    assert (report.loads[0].records, report.loads[0].rejected) == (3002, 1)
    [(offset, raw)] = connection.execute("select byte_offset, raw from ops.rejected_rows").fetchall()
    assert data[offset:].startswith(raw)
    assert raw.rstrip() == b"ragged"
    ledger_agrees(connection, "bad")
