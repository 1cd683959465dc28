"""A file lands wholly or not at all, and its fault is its own: the others of its batch, and other sources, land."""

import gzip
import os
import signal
import time
from itertools import pairwise

import psycopg
import pytest

from loaders.bronze import BronzeFile, Folder
from loaders.discovery import LONGEST_PAUSE_SECONDS, FailedFiles
from loaders.errors import FileError, TooManyRejects
from tests.conftest import Project
from tests.loaders.oracle import count, landed, ledger_agrees

GOOD = "id,name\n1,a\n"
FAULTS = {
    "ragged": b"id,name\n2,b\n3\n",
    "unterminated quote": b'id,name\n2,"b\n',
    "invalid UTF-8": b"id,name\n2,\xff\n",
    "empty": b"",
    "many columns": ",".join(f"c{number}" for number in range(1700)).encode() + b"\n",
    "damaged gzip": gzip.compress(b"id,name\n" + b"".join(b"%d,b\n" % n for n in range(100_000)))[:-9000],
    "truncated gzip header": b"\x1f\x8b\x08",
}
# Never claimed: their headers cannot be had.
UNREADABLE = {"empty", "many columns", "truncated gzip header"}


@pytest.mark.parametrize("name", FAULTS)
def test_the_other_files_of_the_batch_land(project: Project, connection: psycopg.Connection, name: str) -> None:
    project.declare("mixed")
    project.write("mixed/1.csv", GOOD)
    project.write("mixed/2.csv", FAULTS[name])
    project.write("mixed/3.csv", "id,name\n4,d\n")
    report = project.load("mixed")
    [problem] = report.problems
    assert isinstance(problem, FileError)
    assert "mixed.rows: mixed/2.csv" in str(problem)
    assert [load.files for load in report.loads] == [2]
    assert set(landed(connection, "mixed", ["id", "name"])) == {("1", "a"), ("4", "d")}
    ledger_agrees(connection, "mixed")
    released = connection.execute("select path, records from ops.files where error is not null and released_at < now()")
    assert released.fetchall() == ([] if name in UNREADABLE else [("mixed/2.csv", None)])
    # Mended, it lands.
    project.write("mixed/2.csv", "id,name\n2,b\n")
    assert project.load("mixed").problems == []
    assert count(connection, "select count(*) from staging.mixed__rows") == 3


def test_a_failed_file_among_many_workers(project: Project, connection: psycopg.Connection) -> None:
    project.declare("mixed")
    for number in range(20):
        bad = "ragged\n" if number % 5 == 0 else ""
        project.write(f"mixed/{number:02}.csv", "id,name\n" + f"{number},x\n" * 20_000 + bad + f"{number},x\n" * 20_000)
    report = project.load("mixed", workers=4)
    assert len(report.problems) == 4
    assert all(isinstance(problem, TooManyRejects) for problem in report.problems)
    assert sum(landed(connection, "mixed", ["id"]).values()) == 16 * 40_000
    ledger_agrees(connection, "mixed")


def test_rejects_are_allowed_by_file(project: Project, connection: psycopg.Connection) -> None:
    project.declare("mixed")
    for number, bad in enumerate((2, 3, 2)):
        project.write(f"mixed/{number}.csv", "id,name\n" + f"{number},x\n" * 10 + "ragged\n" * bad)
    report = project.load("mixed", max_rejects=2)
    assert [type(problem) for problem in report.problems] == [TooManyRejects]
    assert (report.loads[0].records, report.loads[0].rejected) == (20, 4)
    ledger_agrees(connection, "mixed")


def test_a_path_that_the_ledger_cannot_keep(project: Project, connection: psycopg.Connection) -> None:
    project.declare("paths")
    project.write("paths/1.csv", GOOD)
    project.write("paths/run_id=%00/2.csv", "id,name\n2,b\n")
    project.write("paths/run_id=%FF/3.csv", "id,name\n3,c\n")
    project.write(f"paths/k={'x' * 200}/" + "/".join(f"{n}={'y' * 200}" for n in range(10)) + "/4.csv", "id\n4\n")
    project.write("paths/" + os.fsdecode(b"caf\xe9.csv"), "id,name\n5,e\n")
    done = project.run("load")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 4
    assert "caf\\udce9.csv: its path is not UTF-8" in done.stderr
    assert "NUL byte (%00)" in done.stderr
    assert set(landed(connection, "paths", ["id", "name"])) == {("1", "a")}


def test_a_file_that_changes_while_it_lands(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.declare("moving")
    project.write("moving/1.csv", GOOD)
    moving = project.write("moving/2.csv", "id,name\n2,b\n")
    check = BronzeFile.check_unchanged

    def change_first(file: BronzeFile) -> None:
        if file.path == "moving/2.csv":
            moving.write_text("id,name\n2,b\n3,c\n")
        check(file)

    monkeypatch.setattr(BronzeFile, "check_unchanged", change_first)
    [problem] = project.load("moving").problems
    assert "moving/2.csv changed while it was landed" in str(problem)
    assert set(landed(connection, "moving", ["id"])) == {("1",)}
    monkeypatch.undo()
    assert project.load("moving").problems == []
    assert set(landed(connection, "moving", ["id"])) == {("1",), ("2",), ("3",)}


def test_other_sources_go_on_and_all_problems_are_said_at_the_end(
    project: Project, connection: psycopg.Connection
) -> None:
    for source in ("a", "b", "c"):
        project.declare(source)
        project.write(f"{source}/1.csv", GOOD)
    project.write("a/2.csv", "")
    project.write("b/2.csv", "id,name\nragged\n")
    connection.execute("create schema staging; create view staging.b__rows as select 1 as _load_id")
    done = project.run("load")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert count(connection, "select count(*) from staging.a__rows") == 1
    assert count(connection, "select count(*) from staging.c__rows") == 1
    end = done.stderr.splitlines()[-3:]
    assert end[0] == "2 problems in all:"
    assert end[1].startswith("error: a.rows: a/2.csv is empty")
    assert end[2].startswith("error: b.rows: ")


def test_a_watch_lets_a_failed_file_rest_until_it_changes(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    bad = project.write("people/bad.csv", "id,name\n2\n")
    process = project.start("load", "--watch", "0.1")
    assert process.stdout is not None
    assert "1 file, 1 records" in process.stdout.readline()
    project.write("people/3.csv", "id,name\n3,c\n")
    assert "1 file, 1 records" in process.stdout.readline()
    time.sleep(1)
    assert count(connection, "select count(*) from ops.loads") == 2
    bad.write_text("id,name\n2,b\n")
    assert "1 file, 1 records" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert said.count("people/bad.csv, record 1") == 1
    assert count(connection, "select count(*) from staging.people__rows") == 3
    ledger_agrees(connection, "people")


def test_a_file_that_goes_on_failing_is_tried_ever_more_rarely(project: Project) -> None:
    project.write("a.csv", "")
    [file] = Folder(project.bronze).list_files("*")
    now, tries = 0.0, []
    failed = FailedFiles(clock=lambda: now)
    while now < 40_000:
        if not failed.is_pausing(file):
            failed.add(file)
            tries.append(now)
        now += 1
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[:3] == [60, 120, 240]
    assert max(pauses) == LONGEST_PAUSE_SECONDS


def test_columns_that_come_and_go_are_said_and_kept(project: Project, connection: psycopg.Connection) -> None:
    project.declare("mixed")
    project.write("mixed/1.csv", GOOD)
    assert project.load("mixed").added == {}
    project.write("mixed/2.csv", "id,Full Name\n2,b\n")
    done = project.run("load")
    assert done.returncode == 0
    assert "mixed.rows: mixed/2.csv: new column full_name\n" in done.stderr
    assert "mixed.rows: mixed/2.csv: without the column name\n" in done.stderr
    kept = connection.execute("select columns_added, columns_missing from ops.loads order by load_id").fetchall()
    assert kept == [(None, None), (["full_name"], ["name"])]
    comment = "select col_description('staging.mixed__rows'::regclass, attnum) from pg_attribute where attname = %s"
    assert connection.execute(comment, ["full_name"]).fetchone() == ("Full Name",)


def test_a_file_without_any_column_of_its_table_is_refused(project: Project, connection: psycopg.Connection) -> None:
    project.declare("mixed")
    project.write("mixed/1.csv", GOOD)
    project.load("mixed")
    project.write("mixed/2.csv", "other,more\n2,b\n")
    [problem] = project.load("mixed").problems
    assert "mixed/2.csv has none of the columns of staging.mixed__rows: other, more" in str(problem)
    assert set(landed(connection, "mixed", ["id", "name"])) == {("1", "a")}
