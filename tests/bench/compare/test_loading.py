import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench.cli import main
from bench.compare import cases as loading_cases
from bench.compare.loading import LAUNCHER, Case, Result, Way, loading_figures, measure_case, ratio, refuse_failures
from bench.compare.peers import peer_ways
from bench.errors import ToolError
from loaders.connection import Address
from tests.bench.test_cli import use

COLUMNS = ["id", "name", "age", "isMarried", "city", "state", "country"]


def fill(name: str, rows: int, **more: object) -> Way:
    """A way whose child process lands `rows` rows, however many it should."""
    program = (
        "import sys; from loaders.connection import Address, connect; "
        "connect(Address.from_environment()).execute(sys.argv[1])"
    )
    statement = f"insert into plain select * from generate_series(1, {rows}); insert into turns values ('{name}')"
    environment = {"PYTHONPATH": str(loading_cases.REPOSITORY)}
    way = Way(
        name=name, title=name, table="plain", rows=3, command=(sys.executable, "-c", program, statement),
        environment=environment,
    )  # fmt: skip
    return replace(way, **more)


def case_of(folder: Path, *ways: Way) -> Case:
    return Case(
        name="a case",
        title="a case",
        folder=folder,
        ways=ways,
        fresh="drop table if exists plain; create table plain (i int)",
    )


def test_ways_take_turns_and_only_right_counts_give_figures(
    tmp_path: Path, address: Address, connection: psycopg.Connection
) -> None:
    connection.execute("create table turns (name text)")
    broken = fill("broken", 3, command=(sys.executable, "-c", "raise SystemExit('no such thing')"))
    case = case_of(
        tmp_path, fill("a", 3), fill("short", 2), broken, fill("b", 3), fill("absent", 3, missing="not installed")
    )
    said: list[str] = []

    results = measure_case(case, address=address, runs=2, say=said.append)

    assert [row[0] for row in connection.execute("select name from turns")] == ["a", "short", "b", "a", "b"]
    assert [len(result.seconds) for result in results] == [2, 0, 0, 2, 0]
    assert [result.note for result in results] == [
        "", "failed: 3 rows expected, 2 found", "failed with exit code 1: no such thing", "", "not installed",
    ]  # fmt: skip
    assert len(said) == 6
    with pytest.raises(ToolError, match="a case, short: failed: 3 rows expected, 2 found"):
        refuse_failures([results])
    refuse_failures([[result for result in results if result.way.name in ("a", "absent")]])


def test_a_peer_may_fail(tmp_path: Path) -> None:
    peer = fill("peer", 3, is_peer=True)
    refuse_failures([[Result(case_of(tmp_path, peer), peer, note="failed: it crashed")]])


def test_once_is_run_before_the_first_run_only(
    tmp_path: Path, address: Address, connection: psycopg.Connection
) -> None:
    connection.execute("create table turns (name text)")
    first = fill("first", 3)
    case = replace(case_of(tmp_path, fill("again", 0, once=first.command)), fresh="")
    connection.execute("create table plain (i int)")

    [result] = measure_case(case, address=address, runs=3, say=lambda _: None)

    assert [row[0] for row in connection.execute("select name from turns")] == ["first", "again", "again", "again"]
    assert (result.note, len(result.seconds)) == ("", 3)


def test_ratios_are_of_medians_and_need_both(tmp_path: Path) -> None:
    a, b, c = fill("a", 3), fill("b", 3), fill("c", 3)
    case = case_of(tmp_path, a, b, c)
    results = [
        Result(case, a, [2.0, 9.0, 1.0]),
        Result(case, b, [1.0, 3.0, 1.0]),
        Result(case, c, note="not installed"),
    ]
    assert [ratio(result, results) for result in results] == [1.0, 0.5, None]
    assert ratio(results[1], results[1:]) is None
    assert results[1].rows_per_second == 3.0


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
    connection: psycopg.Connection,
) -> None:  # fmt: skip
    use(address, monkeypatch)
    monkeypatch.setattr(loading_cases, "SMALL_FILES", 7)
    monkeypatch.setattr(loading_cases, "UNCHANGED_FILES", (2, 3))
    written = tmp_path / "figures.json"

    ours = ["psql", "server", "loader-2", "loader-1", "loader-2-unlogged", "one-file", "files-2", "rerun-2", "rerun-3"]
    only = [word for name in ours for word in ("--only", name)]
    assert main(["load", "--rows", "100", "--runs", "1", "--json", str(written), *only]) == 0

    figures = json.loads(written.read_text())
    assert [(row["case"], row["way"], row["rows"], len(row["seconds"]), row["note"]) for row in figures["results"]] == [
        ("csv", "psql", 100, 1, ""),
        ("csv", "server", 100, 1, ""),
        ("csv", "loader-2", 100, 1, ""),
        ("csv", "loader-1", 100, 1, ""),
        ("csv", "loader-2-unlogged", 100, 1, ""),
        ("jsonl", "psql", 100, 1, ""),
        ("jsonl", "loader-2", 100, 1, ""),
        ("jsonl", "loader-1", 100, 1, ""),
        ("files", "one-file", 100, 1, ""),
        ("files", "files-2", 98, 1, ""),
        ("rerun", "rerun-2", 2, 1, ""),
        ("rerun", "rerun-3", 3, 1, ""),
    ]
    assert all(row["peak_bytes"] > 0 for row in figures["results"])
    assert figures["server"]["version"].startswith("PostgreSQL")
    assert "ratio to psql \\copy" in capsys.readouterr().out
    left = connection.execute("select count(*) from pg_database where datname like 'ingot_bench_%'").fetchone()
    assert left == (0,), "the database of the measurement is dropped"
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert connection.execute(tables).fetchone() == (0,), "the user's database is left alone"


def test_an_unknown_way_lists_the_known_ones(
    address: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    assert main(["load", "jsonl", "--rows", "5", "--only", "copy"]) == 1
    said = capsys.readouterr().err
    assert said == "error: No way to load is named 'copy'. Name one of: psql, loader-2, loader-1.\n"


def test_peers_that_are_not_here_say_so(tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    ways = peer_ways(tmp_path / "persons.csv", COLUMNS, 1, address)
    assert [(way.name, way.missing) for way in ways] == [
        (name, "not installed") for name in ("adbc", "dlt", "sling", "pgloader")
    ]
    refuse_failures([[Result(case_of(tmp_path, *ways), way, note=way.missing) for way in ways]])


def test_the_figures_hold_no_address_and_no_password(tmp_path: Path, address: Address) -> None:
    ways = peer_ways(tmp_path / "persons.csv", COLUMNS, 1, address)
    case = case_of(tmp_path, *ways)
    written = json.dumps(loading_figures([[Result(case, way, note="failed") for way in ways]], address, 1))
    assert address.database not in written
    assert str(address.port) not in written
    assert "environment" not in written


def test_a_terminated_measurement_drops_its_database(address: Address, connection: psycopg.Connection) -> None:
    environment = os.environ | address.environment | {"PYTHONPATH": str(loading_cases.REPOSITORY)}
    command = [sys.executable, "-m", "bench", "load", "csv", "--rows", "100", "--runs", "100000", "--only", "psql"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as started:
        assert started.stderr is not None
        assert started.stderr.readline().startswith(b"csv: run 1 of 100000: psql")
        started.terminate()
        started.communicate(timeout=60)
    assert started.returncode == 130
    left = connection.execute(
        "select count(*) from pg_database where datname = %s", [f"ingot_bench_{started.pid}"]
    ).fetchone()
    assert left == (0,)
