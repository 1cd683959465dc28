"""The command line as a user meets it: help, and one line for whatever goes wrong."""

import json
import re
import signal
import time
from datetime import datetime

import psycopg
import pytest
from click.testing import CliRunner

from loaders.__main__ import main
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees
from tests.processes import free_port

COMMANDS = [
    (),
    ("load",),
    ("prune",),
    ("status",),
    ("rejects",),
    ("discard",),
    ("extract",),
    ("db",),
    ("db", "up"),
    ("db", "down"),
    ("db", "url"),
]
GOOD = "id,name\n1,a\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.output


def one_line_error(project: Project, *arguments: str, **environment: str) -> str:
    done = project.run(*arguments, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


BAD_FILES = {
    "empty": (b"", r"people/1\.csv is empty"),
    "UTF-16": ("id,name\n1,a\n".encode("utf-16"), r"is in UTF-16. Declare `encoding: utf-16`"),
    "a workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"is an Excel workbook: save it as CSV"),
    "NUL in the header": (b"id,na\0me\n1,a\n", r"NUL byte"),
    "bare carriage returns": (b"id,name\r1,a\r2,b\r", r"a carriage return that ends no line"),
    "damaged gzip": (b"\x1f\x8b\x08\x00 no gzip at all", r"damaged compressed data"),
    "ragged row": (b"id,name\n1,a\n2\n", r"people/1\.csv, record 2 \(byte 12\): missing data for column \"name\""),
    "unterminated quote": (b'id,name\n1,"a\n', r"people/1\.csv, record 1 \(byte 8\): unterminated quote"),
    "invalid UTF-8": (b"id,name\n1,\xff\n", r"people/1\.csv, record 1 .*invalid byte sequence"),
    "NUL byte": (b"id,name\n1,\0\n", r"people/1\.csv, record 1 .*invalid byte sequence"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_and_the_good_ones_land_apart_from_it(
    project: Project, connection: psycopg.Connection, name: str
) -> None:
    data, message = BAD_FILES[name]
    project.declare("people")
    project.write("people/1.csv", data)
    project.write("people/2.csv", GOOD)
    line = one_line_error(project, "load")
    assert re.search(message, line)
    assert line.rstrip().endswith((".", "the record.")), line
    assert count(connection, "select count(*) from staging.people__rows") == 1


def test_a_header_only_file_is_a_load_of_no_records(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", "id,name\n")
    done = project.run("load")
    assert done.returncode == 0
    assert "1 file, 0 records, 0 rejected" in done.stdout


def test_a_byte_order_mark_is_no_part_of_the_first_name(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", "\ufeff" + GOOD)
    assert project.run("load").returncode == 0
    assert count(connection, "select count(id) from staging.people__rows") == 1


def test_a_missing_file(project: Project) -> None:
    project.declare("people")
    assert "no file matches" in one_line_error(project, "load", "people.rows")


def test_no_bronze_folder(project: Project) -> None:
    project.declare("people")
    assert "which is not a folder" in one_line_error(project, "load", BRONZE_ROOT="nowhere")


def test_an_unknown_source_gets_the_closest_names(project: Project) -> None:
    for source in ("people", "pebbles", "orders", "invoices"):
        project.declare(source)
    line = one_line_error(project, "load", "pepole")
    assert line.startswith("error: pepole is not a declared source. Closest names: people, ")
    assert "invoices" not in line
    assert "Closest names: orders.rows, " in one_line_error(project, "load", "order.rows")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"format": "xlsx"}, "Use: csv, jsonl, parquet, json"),
        ({"format": "jsonl", "quote": "'"}, "quote is for csv only"),
        ({"format": "parquet", "encoding": "latin-1"}, "encoding is not for parquet"),
        ({"header": False, "columns": {"a": "b"}}, "List the names instead"),
        ({"columns": ["a", "b"]}, "Add `header: false`"),
        ({"header": False, "columns": ["a", "A"]}, "Use different names in snake_case"),
        ({"ragged": "cut"}, "Use: reject, pad"),
        ({"escape": ","}, "delimiter and escape are both"),
        ({"null_text": []}, "take texts"),
        ({"fromat": "csv"}, "fromat is not known"),
        ({"delimiter": ", "}, "not one byte"),
        ({"null_text": 1}, "Put it in quotes"),
    ],
)
def test_a_bad_declaration(project: Project, declared: dict[str, str], message: str) -> None:
    project.declare("people", **declared)
    assert message in one_line_error(project, "load")


def test_a_server_that_is_down(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    line = one_line_error(project, "load", PGPORT=str(free_port()))
    assert "Start the local server with `python -m loaders db up`" in line


def test_a_wrong_password_is_refused_and_not_printed(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    line = one_line_error(project, "load", PGPASSWORD="verysecret")
    assert "PGPASSWORD" in line
    assert "verysecret" not in line


def test_a_missing_database(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    assert "Set PGDATABASE" in one_line_error(project, "load", PGDATABASE="nowhere")


def test_a_port_that_is_no_port(project: Project) -> None:
    assert "PGPORT is 'http'" in one_line_error(project, "status", PGPORT="http")


def test_no_ledger_yet(project: Project) -> None:
    assert "no ledger yet" in one_line_error(project, "status")


def test_dry_run_lands_nothing(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    done = project.run("load", "--dry-run")
    assert done.stdout == "people.rows: 1 new files, 0 landed before\n    people/1.csv\n"
    assert connection.execute("select to_regclass('staging.people__rows')").fetchone() == (None,)
    assert project.run("load").returncode == 0
    assert "0 new" not in project.run("load", "--dry-run").stdout


def test_json_says_what_the_line_says(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    [report] = project.json("load")
    [load] = report["loads"]
    assert (load["records"], load["rejected"], load["files"], load["bytes"]) == (1, 0, 1, len(GOOD))
    again = project.run("load")
    assert again.stdout == "people.rows: nothing new; 1 files landed before\n"


def test_status_and_rejects_show_the_ledger(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", "id,name\n1,a\nragged\n")
    assert project.run("load", "--max-rejects", "1").returncode == 0
    shown = project.run("status", COLUMNS="20").stdout
    assert "people__rows" in shown
    assert "complete" in shown
    rejected = project.run("rejects").stdout
    assert 'people/1.csv, record 2 (byte 12): missing data for column "name"\n    ragged\n' in rejected


def test_status_fails_where_the_latest_load_is_too_old(project: Project, connection: psycopg.Connection) -> None:
    for source in ("people", "late", "never"):
        project.declare(source)
    for source in ("people", "late"):
        project.write(f"{source}/1.csv", GOOD)
    assert project.load("people").problems == project.load("late").problems == []
    assert project.run("status", "--fail-if-older-than", "2h").returncode == 0
    # What was pruned since has landed, too.
    connection.execute("update ops.loads set status = 'pruned', finished_at = now() - interval '3 hours' "
                       "where table_name = 'late__rows'")  # fmt: skip
    done = project.run("status", "--fail-if-older-than", "2h")
    assert done.returncode == 1
    assert "people__rows" in done.stdout
    assert "staging.late__rows: its latest load became complete" in done.stderr
    assert "longer than 2:00:00 ago" in done.stderr
    assert "people" not in done.stderr
    done = project.run("status", "people.rows", "--fail-if-older-than", "90s")
    assert (done.returncode, "late" in done.stdout) == (0, False)
    assert "staging.never__rows: no load of it is complete" in one_line_error(
        project, "status", "never", "--fail-if-older-than", "1d"
    )
    done = project.run("status", "--fail-if-older-than", "2 hours")
    assert (done.returncode, "Write a number and s, m, h or d: 2h." in done.stderr) == (2, True)


def test_status_through_a_pipe_is_as_wide_as_its_rows(project: Project) -> None:
    project.declare("people")
    path = f"people/{'a long name ' * 12}.csv"
    project.write(path, "id,name\nragged\n")
    assert project.run("load").returncode == 1
    shown = project.run("status", COLUMNS="80").stdout
    assert any(path in line and "missing data for column" in line for line in shown.splitlines()), shown


def test_status_as_json(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    assert project.run("load").returncode == 0
    [load] = json.loads(project.run("status", "--json").stdout)
    assert (load["status"], load["files"], load["records"], load["rejected"]) == ("complete", 1, 1, 0)
    assert load["table_name"].endswith("people__rows")
    assert datetime.fromisoformat(load["finished_at"]) >= datetime.fromisoformat(load["started_at"])


def test_status_of_a_started_load_counts_what_has_landed(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    assert project.load("people").problems == []
    connection.execute("update ops.loads set status = 'started', records = null")

    def shown() -> int | None:
        [load] = json.loads(project.run("status", "--json").stdout)
        return load["records"]

    assert shown() == 1
    connection.execute("drop table staging.people__rows")
    assert shown() is None


def test_output_holds_no_progress_when_it_is_no_terminal(project: Project) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    assert project.run("load").stderr == ""


def test_watch_lands_what_arrives_and_stops_cleanly(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    project.write("people/1.csv", GOOD)
    project.write("people/bad.csv", "")
    process = project.start("load", "--watch", "0.1")
    assert process.stdout is not None
    assert "1 file, 1 records" in process.stdout.readline()
    project.write("people/2.csv", "id,name\n2,b\n3,c\n")
    assert "1 file, 2 records" in process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode in (0, 143)
    assert said.count("people/bad.csv is empty") == 1
    assert count(connection, "select count(*) from staging.people__rows") == 3
    ledger_agrees(connection, "people")


def test_watch_takes_no_options_that_end(project: Project) -> None:
    project.declare("people")
    assert "--watch does not end by itself" in one_line_error(project, "load", "--watch", "1", "--dry-run")
