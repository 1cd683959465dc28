"""A load's sessions: settings of the database do not break it, encodings and poolers that would are refused."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from loaders import session
from loaders.connection import Address, connect
from loaders.errors import ServerError
from loaders.server import LocalServer
from tests.conftest import Project
from tests.loaders.oracle import count
from tests.loaders.people import SLOW_LOADER, each_once, write_people
from tests.processes import free_port


def set_database(connection: psycopg.Connection, **settings: str) -> None:
    for name, value in settings.items():
        connection.execute(f"alter database {connection.info.dbname} set {name} = '{value}'".encode())


def load_slowly(project: Project, connection: psycopg.Connection, operation: str) -> None:
    """Load one record, and make each further row that is inserted or deleted take a millisecond."""
    project.declare("people")
    project.write("people/0.csv", "id,name\n0,a\n")
    assert project.run("load").returncode == 0
    slowly = f"""
        create function public.slowly() returns trigger language plpgsql as $$
        begin
            perform pg_sleep(0.001);
            return case tg_op when 'DELETE' then old else new end;
        end
        $$;
        create trigger slowly before {operation} on staging.people__rows for each row execute function public.slowly()
    """
    connection.execute(slowly.encode())


@pytest.mark.parametrize("name", ["statement_timeout", "idle_session_timeout", "transaction_timeout"])
def test_a_timeout_of_the_database_does_not_end_a_load(
    project: Project, connection: psycopg.Connection, server_version: int, name: str
) -> None:
    if name == "transaction_timeout" and server_version < 170000:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    load_slowly(project, connection, "insert")
    project.write("people/1.csv", "id,name\n" + "1,a\n" * 1000)
    set_database(connection, **{name: "200ms"})
    done = project.run("load", "--retry-seconds", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert count(connection, "select count(*) from staging.people__rows") == 1001


def test_a_statement_timeout_does_not_end_the_undo(project: Project, connection: psycopg.Connection) -> None:
    load_slowly(project, connection, "delete")
    project.write("people/1.csv", "id,name\n" + "1,a\n" * 1000 + "ragged\n")
    set_database(connection, statement_timeout="200ms")
    assert project.run("load", "--retry-seconds", "0").returncode == 1
    assert count(connection, "select count(*) from staging.people__rows") == 1
    assert count(connection, "select count(*) from ops.loads where status = 'started'") == 0


def test_a_database_that_is_read_only_by_default_is_loaded_at_once(
    project: Project, connection: psycopg.Connection
) -> None:
    records = write_people(project, files=1, records=100)
    set_database(connection, default_transaction_read_only="on")
    done = project.run("load")
    assert (done.returncode, done.stderr) == (0, "")
    each_once(connection, records)


def test_a_session_has_the_settings_that_a_load_needs(address: Address, connection: psycopg.Connection) -> None:
    set_database(
        connection,
        statement_timeout="10s",
        lock_timeout="10s",
        default_transaction_isolation="serializable",
        client_encoding="LATIN1",
        standard_conforming_strings="off",
        datestyle="SQL, DMY",
        synchronous_commit="off",
    )
    with connect(address) as other:
        present = dict(other.execute("select name, setting from pg_settings").fetchall())
        # transaction_timeout came with PostgreSQL 17.
        expected = {name: value for name, value in session.SETTINGS.items() if name in present}
        assert len(expected) >= len(session.SETTINGS) - 1
        shown = {name: other.execute("select current_setting(%s)", [name]).fetchone() for name in expected}
        assert shown == {name: (value,) for name, value in expected.items()}
        assert other.execute("select 'é'").fetchone() == ("é",)


def test_a_stricter_commit_is_left_alone(address: Address, connection: psycopg.Connection) -> None:
    set_database(connection, synchronous_commit="remote_apply")
    with connect(address) as other:
        assert other.execute("show synchronous_commit").fetchone() == ("remote_apply",)


def test_a_database_in_sql_ascii_is_refused(project: Project, server: LocalServer) -> None:
    write_people(project, files=1, records=1)
    name = f"ascii_{os.getpid()}"
    with connect(server.address) as connection:
        connection.execute(f"create database {name} encoding 'SQL_ASCII' template template0".encode())
        try:
            done = project.run("load", PGDATABASE=name)
        finally:
            connection.execute(f"drop database {name}".encode())
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "encoding SQL_ASCII" in line
    assert "encoding 'UTF8' template template0" in line


Pooler = Callable[..., Address]


@pytest.fixture
def pooler(address: Address, tmp_path_factory: pytest.TempPathFactory) -> Pooler:
    """Start pgbouncer before the test's database, and return its address."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")

    @contextmanager
    def pooling(mode: str, size: int) -> Iterator[Address]:
        port = free_port()
        folder = Path(f"/tmp/ingot-pgbouncer-{os.getpid()}-{port}")  # noqa: S108 - its account may not enter pytest's
        folder.mkdir(mode=0o755)
        (folder / "users.txt").write_text(f'"{address.user}" "{address.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={address.host} port={address.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {folder / 'users.txt'}\n"
            f"pool_mode = {mode}\ndefault_pool_size = {size}\nunix_socket_dir =\n"
        )
        account = ["-u", "postgres"] if os.getuid() == 0 else []
        process = subprocess.Popen([program, "-q", *account, str(folder / "pgbouncer.ini")])
        try:
            pooled = replace(address, port=port)
            wait_until_up(pooled)
            yield pooled
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(folder)

    return pooling


def wait_until_up(address: Address) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(address.conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
        else:
            return


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pool_of_transactions_is_refused_and_nothing_leaks_into_it(
    project: Project, connection: psycopg.Connection, pooler: Pooler, mode: str
) -> None:
    write_people(project, files=1, records=10)
    set_database(connection, statement_timeout="77s")
    with pooler(mode, 20) as pooled:
        done = project.run("load", PGPORT=str(pooled.port))
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line.startswith(f"error: {pooled.url}: A connection pooler is between the loader and the server")
        assert "pool_mode = session" in line
        assert connection.execute("select to_regclass('ops.loads')").fetchone() == (None,)
        with psycopg.connect(pooled.conninfo, autocommit=True) as other:
            assert other.execute("show statement_timeout").fetchone() == ("77s",)


def test_a_pool_of_sessions_is_used(project: Project, connection: psycopg.Connection, pooler: Pooler) -> None:
    records = write_people(project, files=2, records=200_000)
    set_database(connection, idle_session_timeout="1s")
    # Main session, two workers: none is left for another look at the pooler.
    with pooler("session", 3) as pooled:
        process = Project(project.folder, pooled).start("load", script=SLOW_LOADER)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    each_once(connection, records)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pool_of_one_session_is_refused(pooler: Pooler, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(session, "POOLER_ANSWER_SECONDS", 0.5)
    with pooler(mode, 1) as pooled, pytest.raises(ServerError, match="or has only one"):
        connect(pooled)
