"""The demo on a server that is not the local one: asked for first, and people's rows only."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from bench import demo
from bench.cli import main
from bench.errors import StepFailed
from bench.generate.shop import generate_shop
from loaders.connection import Address, connect
from tests.bench.support import REPOSITORY, use


@pytest.fixture
def elsewhere(address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """The test's database, as if its server were another machine's; files and artifacts are the test's own."""
    use(address, monkeypatch)
    monkeypatch.setattr("loaders.connection.LOOPBACK_HOSTS", frozenset())
    monkeypatch.setattr(demo, "BRONZE", tmp_path)
    monkeypatch.setenv("BRONZE_ROOT", str(tmp_path))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    monkeypatch.chdir(REPOSITORY)
    return address


def test_another_server_is_left_alone_where_nobody_can_be_asked(
    elsewhere: Address, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["demo", "--rows", "3"]) == 1
    said = capfd.readouterr()
    assert said.err.startswith(
        f"error: The demo replaces the rows of people.persons, core.people and its marts on {elsewhere.url}."
    )
    assert "Pass --yes" in said.err
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_demo_touches_people_only_and_its_farewell_can_be_followed(
    elsewhere: Address, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_shop(tmp_path / "shop", rows=50, seed=1)
    subprocess.run([sys.executable, "-m", "loaders", "load", "shop"], check=True)
    loads = "select load_id, table_name, status from ops.loads where table_name like 'shop%' order by 1"
    with connect(elsewhere) as connection:
        before = connection.execute(loads).fetchall()
    assert before

    def measure(_: Address) -> None:
        raise StepFailed("stopped before the measurements", 9)

    monkeypatch.setattr(demo, "_measure", measure)
    assert main(["demo", "--rows", "300", "--yes"]) == 9
    with connect(elsewhere) as connection:
        assert connection.execute(loads).fetchall() == before
        assert connection.execute("select count(*) from core.people").fetchone() == (300,)

    said = demo._farewell(elsewhere)
    assert "  dbt build --select source:people+ " in said
    [queries] = [line for line in said.splitlines() if "bench queries" in line]
    assert main(["queries", *demo.QUERIES, "-n", "10"]) == 0, capfd.readouterr().err
    assert f"bench queries {' '.join(demo.QUERIES)} " in queries
