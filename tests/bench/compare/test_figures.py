"""The command that measures all that is published: its steps can be run, smaller ones too, on a server of its own."""

import json
from pathlib import Path

import psycopg
import pytest

from bench.cli import cli, main
from bench.compare.figures import STEPS, Step, _expanded, _server, quicker
from loaders.connection import connect
from tests.bench.support import REPOSITORY


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_every_step_is_a_command_that_can_be_read(step: Step) -> None:
    for command in (step.command, quicker(step.command)):
        name, *words = _expanded(command)
        parsed = cli.commands[name].make_context(name, [*words, "--json", "somewhere.json"]).params
        assert "*" not in json.dumps(parsed, default=str)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("load csv --rows 10000000 --rounds 5", "load csv --rows 100000 --rounds 1"),
        ("transform --increments 0 --rounds 0", "transform --increments 0 --rounds 0"),
        ('queries a --slo "p99<10ms" --duration 3', "queries a --slo 'p99<10ms' --duration 1"),
    ],
)
def test_quick_steps_have_smaller_numbers(command: str, expected: str) -> None:
    assert quicker(command) == expected


def test_a_step_of_no_such_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "lode"]) == 1
    assert capsys.readouterr().err.startswith("error: No step is named 'lode'. Name some of: load-csv, load-jsonl,")


@pytest.mark.slow
def test_a_step_is_measured_on_a_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main(["figures", "--quick", "transform-replica", "--to", str(tmp_path / "results")]) == 0
    content = json.loads((tmp_path / "results" / "transform-replica.json").read_text())
    assert content["server"]["settings"]["wal_level"] == "replica"


@pytest.mark.slow
def test_the_server_has_its_settings_and_is_gone_afterwards(tmp_path: Path) -> None:
    with _server(tmp_path / "server", "replica") as address, connect(address) as connection:
        assert connection.execute("show wal_level").fetchone() == ("replica",)
        assert connection.execute("show checkpoint_timeout").fetchone() == ("15min",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address.conninfo, connect_timeout=1)
