"""The whole project by plain dbt commands, as a user runs them, with no wrapper and no warning."""

import subprocess
import sys

import psycopg
import pytest

from bench.generate.gym import generate_gym
from bench.generate.people import generate_people
from bench.generate.shop import generate_shop
from loaders.connection import Address
from tests.conftest import REPOSITORY
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Feed


@pytest.fixture
def people(bronze: Bronze) -> Bronze:
    generate_people(bronze.root / "people", rows=5000, seed=1)
    bronze.load()
    return bronze


def test_plain_dbt_builds_everything(unparsed_dbt: Dbt, people: Bronze, connection: psycopg.Connection) -> None:
    unparsed_dbt.succeed("build")
    unparsed_dbt.succeed("run", "--full-refresh")
    unparsed_dbt.succeed("build", "--exclude", "resource_type:unit_test")
    unparsed_dbt.succeed("source", "freshness", "--select", "source:people")
    unparsed_dbt.succeed("docs", "generate", "--static")
    assert (unparsed_dbt.folder / "target" / "static_index.html").stat().st_size > 1_000_000
    schemas = connection.execute(
        "select array_agg(nspname::text order by nspname) from pg_namespace "
        "where nspname !~ '^pg_|information_schema|^citus'"
    ).fetchone()
    assert schemas == (["core", "marts", "ops", "public", "staging"],)


def test_a_build_of_generated_data_warns_of_nothing_and_of_other_bad_values_by_number(
    dbt: Dbt, people: Bronze, connection: psycopg.Connection
) -> None:
    generate_gym(people.root / "evo", scale=0.0002, runs=2, seed=1)
    generate_shop(people.root / "shop", rows=5000, seed=1)
    people.load_all()
    dbt.succeed("build", "--exclude", "resource_type:unit_test")
    spoiled = "select count(*) from staging.evo__members where raw ->> 'birthDate' in ('2026-02-30', 'unknown')"
    assert connection.execute(spoiled).fetchone() != (0,)

    feed = Feed(people, MEMBERS)
    feed.write(
        20, 1, [{"idMember": 1, "birthDate": "2026-02-31", "registerDate": "unknown", "lastAccessDate": "never"}]
    )
    feed.load()
    done = dbt.run("test", "--select", "test_name:json_casts_keep_values,stg_evo__members")
    assert done.returncode == 0
    assert "Got 2 results, configured to warn if != 0" in done.stdout, done.stdout


def test_every_layer_counts_alike(dbt: Dbt, people: Bronze, address: Address) -> None:
    """`bench queries` compares the three layers' answers for every age before it times them."""
    dbt.succeed("run", "--select", "source:people+")
    names = [f"people_older_than_{layer}" for layer in ("staging", "core", "mart")]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "queries", *names, "-n", "5", "--duration", "1", "--connections", "2"],
        cwd=REPOSITORY,
        env=address.environment | {"PATH": "/usr/bin:/bin", "DBT_TARGET_PATH": str(dbt.folder / "target")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all equal" in done.stderr
    for name in names:
        assert name in done.stdout
