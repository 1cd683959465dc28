import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench.cli import main
from bench.compare import bronze, cases
from bench.compare.loading import LAUNCHER, Case, Command, measure_case
from bench.compare.peers import peer_commands
from bench.comparison import check_failures
from bench.errors import ToolError
from loaders.connection import Address
from loaders.server import LocalServer
from tests.bench.support import REPOSITORY, use

COLUMNS = ["id", "name", "age", "isMarried", "city", "state", "country"]


def fill(name: str, rows: int, **more: object) -> Command:
    """A command whose child process lands `rows` rows, however many it should."""
    program = (
        "import sys; from loaders.connection import Address, connect; "
        "connect(Address.from_environment()).execute(sys.argv[1])"
    )
    statement = f"insert into plain select * from generate_series(1, {rows}); insert into turns values ('{name}')"
    command = Command(
        name=name, title=name, table="plain", rows=3, command=(sys.executable, "-c", program, statement),
        environment={"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    return replace(command, **more)  # type: ignore[arg-type]


def case_of(folder: Path, *commands: Command) -> Case:
    fresh = "drop table if exists plain; create table plain (i int)"
    return Case(name="a case", title="a case", folder=folder, commands=commands, fresh=fresh)


def test_commands_alternate_and_only_right_counts_give_figures(
    tmp_path: Path, address: Address, connection: psycopg.Connection
) -> None:
    connection.execute("create table turns (name text)")
    broken = fill("broken", 3, command=(sys.executable, "-c", "raise SystemExit('no such thing')"))
    absent = fill("absent", 3, missing="not installed")
    case = case_of(tmp_path, fill("a", 3), fill("short", 2), broken, fill("b", 3), absent)
    said: list[str] = []

    found = measure_case(case, address=address, rounds=2, say=said.append)

    assert [row[0] for row in connection.execute("select name from turns")] == ["a", "short", "b", "b", "a"]
    assert [len(one.seconds) for one in found.timings] == [2, 0, 0, 2, 0]
    assert [one.note for one in found.timings] == [
        "", "failed: 3 rows expected, 2 found", "failed with exit code 1: no such thing", "", "not installed",
    ]  # fmt: skip
    assert len(said) == 6
    with pytest.raises(ToolError, match="a case, short: failed: 3 rows expected, 2 found"):
        check_failures([found])


def test_once_is_run_before_the_first_run_only(
    tmp_path: Path, address: Address, connection: psycopg.Connection
) -> None:
    connection.execute("create table turns (name text)")
    again = fill("again", 3)
    case = case_of(tmp_path, replace(again, once=fill("first", 0).command))

    [one] = measure_case(case, address=address, rounds=3, say=lambda _: None).timings

    assert [row[0] for row in connection.execute("select name from turns")] == ["first", "again", "again", "again"]
    assert (one.note, len(one.seconds)) == ("", 3)


def test_the_launcher_measures_the_child_and_not_its_parent() -> None:
    hungry = "x = b'x' * (200 * 1024**2); print('words'); raise SystemExit(3)"
    ballast = bytearray(200 * 1024**2)
    ballast[::4096] = b"x" * len(ballast[::4096])
    for program, least, most, status in ((hungry, 200, 300, 3), ("pass", 1, 100, 0)):
        ended = subprocess.run(
            [sys.executable, "-S", str(LAUNCHER), sys.executable, "-S", "-c", program],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, peak_bytes, code = ended.stdout.split()
        assert float(seconds) > 0
        assert least <= int(peak_bytes) / 1024**2 <= most
        assert int(code) == status


def test_all_cases_land_every_row(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    connection: psycopg.Connection, server: LocalServer,
) -> None:  # fmt: skip
    # COPY FROM a file takes the right to read the server's files.
    use(replace(server.superuser_address, database=address.database), monkeypatch)
    for module in (bronze, cases):
        monkeypatch.setattr(module, "SMALL_FILES", 7)
        monkeypatch.setattr(module, "UNCHANGED_FILES", (2, 3))
    written = tmp_path / "figures.json"
    databases = "select datname from pg_database where datname like 'ingot_bench_%' order by 1"
    before = connection.execute(databases).fetchall()

    ours = ["psql", "two-psql", "server", "loader-2", "loader-1", "one-file", "files-2"]
    ours += ["plain", "quoted", "newlines", "parquet", "rerun-2", "rerun-3"]
    only = [word for name in ours for word in ("--only", name)]
    assert main(["load", "--rows", "100", "--rounds", "1", "--json", str(written), *only]) == 0

    figures = json.loads(written.read_text())
    assert [
        (case["name"], one["variant"], one["count"], len(one["seconds"]), one["note"])
        for case in figures["comparisons"]
        for one in case["timings"]
    ] == [
        ("csv", "psql", 100, 1, ""),
        ("csv", "two-psql", 100, 1, ""),
        ("csv", "server", 100, 1, ""),
        ("csv", "loader-2", 100, 1, ""),
        ("csv", "loader-1", 100, 1, ""),
        ("jsonl", "psql", 100, 1, ""),
        ("jsonl", "loader-2", 100, 1, ""),
        ("jsonl", "loader-1", 100, 1, ""),
        ("files", "one-file", 100, 1, ""),
        ("files", "files-2", 98, 1, ""),
        ("kinds", "plain", 100, 1, ""),
        ("kinds", "quoted", 100, 1, ""),
        ("kinds", "newlines", 100, 1, ""),
        ("kinds", "parquet", 100, 1, ""),
        ("rerun", "rerun-2", 2, 1, ""),
        ("rerun", "rerun-3", 3, 1, ""),
    ]
    assert all(one["peak_bytes"] > 0 for case in figures["comparisons"] for one in case["timings"])
    assert figures["server"]["version"].startswith("PostgreSQL")
    assert "time, psql \\copy = 1" in capsys.readouterr().out
    assert connection.execute(databases).fetchall() == before, "the database of the measurement is dropped"
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert connection.execute(tables).fetchone() == (0,), "the user's database is left alone"


def test_a_role_that_may_not_read_the_servers_files_leaves_copy_from_file_out(
    address: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    assert main(["load", "csv", "--rows", "5", "--rounds", "1", "--only", "psql", "--only", "server"]) == 0
    assert "needs PGUSER=postgres" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_variant_lists_the_known_ones(
    address: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    assert main(["load", "jsonl", "--rows", "5", "--only", "copy"]) == 1
    said = capsys.readouterr().err
    assert said == "error: No variant is named 'copy'. Name one of: psql, loader-2, loader-1.\n"


def test_peers_that_are_not_here_say_so(tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    commands = peer_commands(tmp_path / "persons.csv", COLUMNS, 1, address)
    assert [(one.name, one.missing, one.origin) for one in commands] == [
        (name, "not installed", "peer") for name in ("adbc", "dlt", "sling", "pgloader")
    ]


def test_the_figures_hold_no_address_and_no_password(
    tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(address, monkeypatch)
    written = tmp_path / "figures.json"
    assert main(["load", "csv", "--rows", "5", "--rounds", "1", "--only", "adbc", "--json", str(written)]) == 0
    text = written.read_text()
    assert address.database not in text
    assert str(address.port) not in text
    assert "environment" not in text


def test_a_terminated_measurement_drops_its_database(address: Address, connection: psycopg.Connection) -> None:
    environment = os.environ | address.environment | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "bench", "load", "csv", "--rows", "100", "--rounds", "100000", "--only", "psql"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as started:
        assert started.stderr is not None
        assert started.stderr.readline().startswith(b"csv: round 1 of 100000: psql")
        started.terminate()
        _, said = started.communicate(timeout=60)
    assert started.returncode == 143
    assert said.splitlines()[-1] == b"interrupted"
    left = connection.execute(
        "select count(*) from pg_database where datname = %s", [f"ingot_bench_{started.pid}"]
    ).fetchone()
    assert left == (0,)
