"""The three roles of docs/operations.md: its SQL as it stands, then load, build, query and refresh as these roles."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from loaders.connection import Address, connect
from loaders.prune import Retention, prune
from loaders.raw_table import RawTable
from loaders.server import LocalServer
from tests.conftest import REPOSITORY
from tests.project.conftest import Bronze, Dbt

ROLES = ("ingot_load", "ingot_build", "ingot_read")


def documented_sql() -> str:
    [block] = re.findall(
        r"```sql\n(create role ingot_load.*?)```", (REPOSITORY / "docs" / "operations.md").read_text(), re.DOTALL
    )
    return block


@pytest.fixture(scope="module")
def roles(
    server: LocalServer, server_version: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Address]]:
    """The addresses of the three roles in a database that has the ledger and empty raw tables."""
    admin = replace(server.superuser_address, database="project")
    with connect(server.superuser_address) as superuser:
        superuser.execute("drop database if exists project with (force)")
        superuser.execute("create database project")
        try:
            done = subprocess.run(
                [server.binaries / "psql", "-X", "-v", "ON_ERROR_STOP=1", admin.conninfo, "-f", "-"],
                input=documented_sql(), cwd=REPOSITORY, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            for role in ROLES:
                superuser.execute(f"alter role {role} password '{role}'".encode())
            made = {role: replace(server.address, database="project", user=role, password=role) for role in ROLES}
            Bronze(tmp_path_factory.mktemp("empty"), made["ingot_load"]).load()
            yield made
        finally:
            superuser.execute("drop database project with (force)")
            for role in ROLES:
                superuser.execute(f"drop role if exists {role}".encode())


def people(address: Address, table: str = "core.people") -> list[tuple[int, str]]:
    with connect(address) as connection:
        return connection.execute(f"select person_id, name from {table} order by 1".encode()).fetchall()


def test_the_whole_way_as_three_roles(
    roles: dict[str, Address], tmp_path: Path, dbt_folder: Path, parsed: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    bronze = Bronze(tmp_path, roles["ingot_load"])
    dbt = Dbt(roles["ingot_build"], dbt_folder, manifest=parsed)
    bronze.write_people("1", {1: "Ann,30,true,Rome,LZ,IT", 2: "Bob,40,false,Bonn,NW,DE"})
    bronze.load()
    dbt.succeed("build", "--exclude", "resource_type:unit_test")
    assert people(roles["ingot_read"]) == [(1, "Ann"), (2, "Bob")]

    bronze.write_people("2", {2: "Rob,40,false,Bonn,NW,DE"})
    bronze.load()
    dbt.succeed("build", "--select", "source:people+")
    assert people(roles["ingot_read"]) == [(1, "Ann"), (2, "Rob")]

    with connect(roles["ingot_load"]) as connection:
        pruned = prune(connection, RawTable(schema="staging", name="people__persons"), Retention(keep_loads=1))
    assert (pruned.load_ids, pruned.blocking) == ([1], {})
    dbt.succeed("build", "--select", "source:people+")

    bronze.load(full_refresh=True)
    dbt.succeed("run", "--full-refresh")
    assert people(roles["ingot_read"]) == [(1, "Ann"), (2, "Rob")]
    with connect(roles["ingot_read"]) as connection:
        for schema in ("core", "marts"):
            hidden = connection.execute(
                "select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p', 'v') "
                "and not has_table_privilege(oid, 'select')",
                [schema],
            ).fetchall()
            assert hidden == []

    for operation in ("storage_report", "settings_report"):
        dbt.succeed("run-operation", operation)
    said = capsys.readouterr().out
    assert "index_free_percent" in said
    assert "core.people" in said
    assert "prunable_records" in said


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("ingot_read", "select * from staging.people__persons"),
        ("ingot_read", "select * from ops.loads"),
        ("ingot_read", "create table core.mine (a integer)"),
        ("ingot_read", "create temporary table mine (a integer)"),
        ("ingot_build", "delete from staging.people__persons"),
        ("ingot_build", "update ops.loads set status = 'complete'"),
        ("ingot_build", "create schema mine"),
        ("ingot_build", "copy staging.people__persons from program 'true'"),
        ("ingot_load", "create table core.mine (a integer)"),
        ("ingot_load", "create schema mine"),
        ("ingot_load", "create role mine"),
    ],
)
def test_what_each_role_may_not_do(roles: dict[str, Address], role: str, statement: str) -> None:
    with connect(roles[role]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
