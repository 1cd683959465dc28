"""Three small layers in a fresh database, and a dbt project whose analyses ask them."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from bench.queries.run import Run
from loaders.connection import Address, connect
from tests.bench.support import REPOSITORY, SQL, TABLES


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what commands measure here out of the repository's own results."""
    monkeypatch.setattr("bench.results.FOLDER", tmp_path / "kept results")


@pytest.fixture
def layers(address: Address) -> Address:
    """The address of a fresh database that has a raw table, a core table and a mart that agree."""
    with connect(address) as connection:
        connection.execute(TABLES)
    return address


@pytest.fixture(scope="session")
def analyses_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project with one benchmark a layer and an analysis that is none."""
    folder = tmp_path_factory.mktemp("a project")
    (folder / "analyses").mkdir()
    (folder / "dbt_project.yml").write_text(
        dedent("""
            name: tiny
            version: "1.0"
            profile: ingot
            analysis-paths: [analyses]
            flags: {send_anonymous_usage_stats: false}
        """)
    )
    (folder / "profiles.yml").write_text((REPOSITORY / "profiles.yml").read_text())
    (folder / "analyses" / "no_benchmark.sql").write_text("select 1")
    declared = "analyses:\n"
    for layer, text in SQL.items():
        (folder / "analyses" / f"older_{layer}.sql").write_text(text + "\n")
        declared += dedent(f"""
            # {layer}
              - name: older_{layer}
                config:
                  meta:
                    benchmark:
                      question: older
                      layer: {layer}
                      parameters: [{{name: age, type: integer, min: 22, max: 65}}]
        """)
    (folder / "analyses" / "_analyses.yml").write_text(declared)
    return folder


@pytest.fixture
def run(layers: Address) -> Run:
    """Three connections of one process, a second a row."""
    return Run(address=layers, driver="asyncpg", connections=3, seconds=1, seed=1, processes=1)


@pytest.fixture
def counted(run: Run) -> Run:
    """The same for a number of queries, with time enough for them on any machine."""
    return replace(run, seconds=30)
