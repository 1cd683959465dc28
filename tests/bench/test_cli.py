import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import pytest

from bench.cli import cli, main
from loaders.connection import Address, connect
from tests.bench.support import REPOSITORY, sessions, use
from tests.waiting import wait_until


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.fixture
def in_project(layers: Address, analyses_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(layers, monkeypatch)
    monkeypatch.chdir(analyses_project)
    return analyses_project


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    assert f"Example: python -m bench {' '.join(path)}".rstrip() in capsys.readouterr().out


def test_generated_files_are_where_the_loader_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRONZE_ROOT", str(tmp_path / "bronze"))
    assert main(["generate", "people", "--rows", "3"]) == 0
    assert (tmp_path / "bronze" / "people" / "persons.csv").read_text().count("\n") == 4
    monkeypatch.setenv("BRONZE_ROOT", "s3://bucket/bronze")
    assert main(["generate", "people", "--rows", "3"]) == 2
    assert "name one with --to" in capsys.readouterr().err
    assert main(["generate", "people", "--rows", "3", "--to", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("arguments", "counts", "names"),
    [
        ("", (), ()),
        ("--rate 100 -n 5 --mix a=1", (5,), ()),
        ("-n 10 100 1000", (10, 100, 1000), ()),
        ("a b -n 5 7 --duration 3", (5, 7), ("a", "b")),
        ("-n 5 7 a", (5, 7), ("a",)),
        ("-n 5 -n 7 a", (5, 7), ("a",)),
        ("--connections 4 -n 5 --duration 3 a", (5,), ("a",)),
        ("-n 5 -- 7", (5,), ("7",)),
    ],
)
def test_several_counts_after_one_n(arguments: str, counts: tuple[int, ...], names: tuple[str, ...]) -> None:
    command = cli.commands["queries"]
    parsed = command.make_context("queries", arguments.split()).params
    assert (parsed["counts"], parsed["names"]) == (counts, names)


@pytest.mark.parametrize(
    "arguments",
    [
        "queries -n",
        "queries -n ten",
        "queries -n 0",
        "queries --driver odbc",
        "generate people --rows -1",
        "queries a --mix a=1",
        "queries --rate 0",
        "queries --slo p99<5ms --rate 3",
        "queries a --during true -n 5",
        "queries --driver oracle",
        "queries --seconds 5",
        "tune --hypothetical",
    ],
)
def test_arguments_that_cannot_be_used_exit_with_2(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    assert "Error: " in capsys.readouterr().err


def test_generate_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "people", "--rows", "10", "--to", str(tmp_path)]) == 0
    assert f"{tmp_path / 'persons.csv'}: 10 rows, 0.0 MB" in capsys.readouterr().out


def test_queries_measures_all_layers(in_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "figures.json"
    assert main(f"queries -n 2 20 --rounds 2 --connections 2 --json {written}".split()) == 0
    said = capsys.readouterr()
    assert "answers compared between layers: 88, all equal" in said.err
    assert "The machine: the anchor query beside each row was answered" in said.out
    figures = json.loads(written.read_text())
    assert [(row["query"], row["n"], [one["done"] for one in row["rounds"]]) for row in figures["rows"]] == [
        (f"older_{layer}", n, [n, n]) for layer in ("staging", "core", "mart") for n in (2, 20)
    ]
    assert all(one["anchor_qps"] > 0 for row in figures["rows"] for one in row["rounds"])
    assert figures["machine"]["cores"] == os.cpu_count()
    assert figures["server"]["version"].startswith("PostgreSQL")
    assert "shared_buffers" in figures["server"]["settings"]
    assert "ingot" not in json.dumps(figures["server"]), "no address and no password belong in the figures"


def test_queries_measures_a_mix_on_a_schedule(
    in_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.json"
    load = (
        "--mix older_mart=9,older_core=1 --rate 50 --duration 2 --rounds 1 --warm-up 0.2 --driver libpq --processes 1"
    )
    assert main(f"queries {load} --connections 2 --pgbench --json {written}".split()) == 0
    said = capsys.readouterr()
    assert "open loop of 50 queries a second, 2 connections, 1 process, libpq" in said.out
    assert "latency counts from the scheduled time: p50 " in said.out
    assert "of pgbench's at the same --rate" in said.out
    assert "total: the limit is " in said.out
    figures = json.loads(written.read_text())
    assert figures["load_model"] == {
        "kind": "open", "rate": 50, "warm_up_seconds": 0.2, "pipeline": None, "mix": {"older_core": 1, "older_mart": 9},
    }  # fmt: skip
    core, mart, total = figures["rows"]
    assert [row["query"] for row in (core, mart, total)] == ["older_core", "older_mart", "total"]
    for parts in zip(core["rounds"], mart["rounds"], total["rounds"], strict=True):
        *parts, whole = parts
        # A Poisson process of 100: its deviation is 10.
        assert 60 < whole["done"] + whole["unsent"] < 140
        assert whole["done"] == sum(part["done"] for part in parts)
        assert list(whole["percentiles"])[:2] == ["50", "75"]
        assert len(whole["series"]) >= 2
        assert whole["overhead_us"] > 0
        assert whole["limit"]["samples"] > 0
    assert [len(figures["pgbench"][0][client]) for client in ("harness", "pgbench")] == [1, 1]


def test_queries_during_a_command(
    in_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.queries.during.LEAD_SECONDS", 0.5)
    written = tmp_path / "figures.json"
    assert main(["queries", "older_mart", "--rate", "100", "--during", "python --version", "--json", str(written)]) == 0
    assert "older_mart: latency in ms: before (" in capsys.readouterr().out
    figures = json.loads(written.read_text())
    assert figures["during"]["command"] == "python --version"
    assert len(figures["rows"][0]["rounds"][0]["timeline"]) >= figures["during"]["ended_s"]


def test_queries_go_through_a_pipeline(in_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "figures.json"
    assert (
        main(f"queries older_mart --driver psycopg-pipeline --pipeline 10 -n 95 --rounds 1 --json {written}".split())
        == 0
    )
    assert "psycopg-pipeline of 10 queries a sync" in capsys.readouterr().out
    assert json.loads(written.read_text())["rows"][0]["rounds"][0]["done"] == 95


@pytest.mark.parametrize("mix", ["older_mart", "older_mart=0", "older_mart=1,older_mart=2", "=3", "older_mart=x"])
def test_a_mix_that_cannot_be_read_is_one_line(in_project: Path, mix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queries", "--mix", mix]) == 1
    assert "in the mix cannot be read: write each query once as NAME=WEIGHT" in capsys.readouterr().err


def test_an_unknown_query_lists_the_known_ones(in_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queries", "yonger"]) == 1
    said = capsys.readouterr().err
    assert said == "error: No benchmark query is named 'yonger'. Known: older_core, older_mart, older_staging.\n"


def test_a_server_that_is_down_is_one_line(
    layers: Address, analyses_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(replace(layers, port=1), monkeypatch)
    monkeypatch.chdir(analyses_project)
    assert main(["queries"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: postgresql://")
    assert said.count("\n") == 1
    assert f":{layers.password}@" not in said


def test_outside_a_project_is_one_line(
    layers: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(layers, monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["queries"]) == 1
    assert "has no dbt_project.yml: run this from the repository's root." in capsys.readouterr().err


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_one_line_and_leaves_no_connection(
    in_project: Path, layers: Address, end: signal.Signals, code: int
) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "bench", "queries", "older_mart", "-n", "100000000", "--duration", "60"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        assert started.stderr is not None
        while started.stderr.readline() != "measuring older_mart\n":
            assert started.poll() is None
        with connect(layers) as connection:
            wait_until(lambda: sessions(connection, "ingot bench") == 8)
        # A terminal sends Ctrl-C to all, a supervisor SIGTERM to one.
        (os.killpg if end == signal.SIGINT else os.kill)(started.pid, end)
        _, said = started.communicate(timeout=60)
    assert (started.returncode, said.strip()) == (code, "interrupted")
    with connect(layers) as connection:
        wait_until(lambda: sessions(connection, "ingot bench") == 0)


@pytest.mark.parametrize(
    "command",
    [
        "queries older_mart --duration 600",
        "tune older_core --index people(age) --rounds 1000000",
        "load csv --rows 100 --rounds 1000000 --only psql",
        "records --rows 100 --rounds 1000000",
    ],
)
def test_a_lost_server_is_one_line(in_project: Path, layers: Address, command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    end = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where pid <> pg_backend_pid() and backend_type = 'client backend' "
        "and (datname = current_database() or datname like 'ingot_bench_%')"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "bench", *command.split()],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as started, connect(layers) as connection:  # fmt: skip
        assert started.stderr is not None
        while not started.stderr.readline().startswith(("measuring", "trying", "csv: round", "one call: round")):
            assert started.poll() is None
        while started.poll() is None:
            connection.execute(end)
            time.sleep(0.2)
        lines = started.stderr.read().splitlines()
    said = [line for line in lines if not line.startswith("trying") and ": round " not in line]
    assert started.returncode == 1
    assert len(said) == 1
    assert said[0].startswith("error: ")


def test_a_step_that_fails_stops_the_demo_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Not a loopback name, so that no local server is started; nothing answers there.
    use(Address(host="127.0.0.2", port=1), monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--rows", "3", "--yes"]) == 1
    said = capfd.readouterr()
    assert "== 2. Generate 3 people" in said.out
    assert "The step 'load' ended with exit code 1" in said.err
    assert "== 4." not in said.out
