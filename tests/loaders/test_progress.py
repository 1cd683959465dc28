"""What a running load says without a terminal, and what each phase of it took."""

import time

import pytest

from loaders.progress import Progress
from tests.conftest import Project


def wait_for(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    said, deadline = "", time.monotonic() + 30
    while text not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
        said += capsys.readouterr().err
    return said


def test_a_load_without_a_terminal_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(line_seconds=0.02) as progress:
        progress.begin("people.persons", 10_000_000)
        progress.advance(2_500_000)
        progress.landed(40_000)
        wait_for("people.persons: 2.5 of 10.0 MB read, 40,000 records landed, ", capsys)
        progress.begin("people.others", 1_000_000)
        wait_for("people.others: 0.0 of 1.0 MB read, 0 records landed", capsys)
        progress.end()
        time.sleep(0.5)
        capsys.readouterr()
        time.sleep(0.1)
        assert capsys.readouterr().err == "", "nothing is said between loads"


def test_a_short_load_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress.begin("people.persons", 1)
    assert capsys.readouterr().err == ""


def test_the_phases_of_a_load_are_in_its_json(project: Project) -> None:
    project.declare("people")
    project.write("people/a.csv", "id,name\n" + "".join(f"{number},{'x' * 200}\n" for number in range(50_000)))
    [report] = project.json("load", "people", "--workers", "2")
    [load] = report["loads"]
    phases = load["phases"]
    assert list(phases) == ["read", "copy", "wait"]
    assert all(seconds > 0 for seconds in phases.values())
    assert sum(phases.values()) <= 2 * load["seconds"]
