"""The whole project by plain dbt commands, as a user runs them, with no wrapper and no warning."""

import subprocess
import sys

import psycopg
import pytest

from bench.generate.people import generate_people
from loaders.connection import Address
from tests.conftest import REPOSITORY
from tests.project.conftest import Bronze, Dbt


@pytest.fixture
def people(bronze: Bronze) -> Bronze:
    generate_people(bronze.root / "people", rows=5000, seed=1)
    bronze.load()
    return bronze


def test_plain_dbt_builds_everything(dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    dbt.succeed("build")
    dbt.succeed("run", "--full-refresh")
    dbt.succeed("build")
    dbt.succeed("source", "freshness", "--select", "source:people")
    dbt.succeed("docs", "generate", "--static")
    assert (dbt.folder / "target" / "static_index.html").stat().st_size > 1_000_000
    schemas = connection.execute(
        "select array_agg(nspname::text order by nspname) from pg_namespace where nspname !~ '^pg_|information_schema'"
    ).fetchone()
    assert schemas == (["core", "marts", "ops", "public", "staging"],)


def test_every_layer_counts_alike(dbt: Dbt, people: Bronze, address: Address) -> None:
    """`bench queries` compares the three layers' answers for every age before it times them."""
    dbt.succeed("run", "--select", "source:people+")
    names = [f"people_older_than_{layer}" for layer in ("staging", "core", "mart")]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "queries", *names, "-n", "5", "--duration", "1", "--connections", "2"],
        cwd=REPOSITORY,
        env=address.environment | {"PATH": "/usr/bin:/bin", "DBT_TARGET_PATH": str(dbt.folder / "bench")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all equal" in done.stderr
    for name in names:
        assert name in done.stdout
