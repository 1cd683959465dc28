"""The local server: up and down as often as one likes, and one line for what stands in its way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import psutil
import psycopg
import pytest

from loaders.connection import Address, connect
from loaders.errors import LoaderError, ServerError, SettingError
from loaders.server import LocalServer
from loaders.server_settings import settings_file
from tests.conftest import REPOSITORY, remove_abandoned_servers, server_of_tests
from tests.processes import free_port


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalServer:
    return LocalServer(tmp_path_factory.mktemp("a path with spaces") / ".pgdata", Address(port=free_port()))


@pytest.fixture
def own() -> Iterator[LocalServer]:
    with server_of_tests() as server:
        yield server


def test_its_life(local: LocalServer) -> None:
    try:
        assert local.up().startswith("up: ")
        assert local.up().startswith("already up: ")
        the_role_is_no_superuser(local)
        with connect(local.address) as connection:
            row = connection.execute(
                "select current_setting('fsync'), current_setting('listen_addresses'), current_setting('wal_level')"
            ).fetchone()
        assert row == ("on", "127.0.0.1", "minimal")
        assert psutil.Process(local.pid()).uids().real != 0
        assert local.down() == "stopped"
        assert local.down() == "not running"

        assert local.up().startswith("up: ")
        pid = local.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)
        assert local.up().startswith("up: "), "a killed server comes back"

        elsewhere = LocalServer(local.data, replace(local.address, port=free_port()))
        with pytest.raises(ServerError, match=f"already served on port {local.address.port}"):
            elsewhere.up()
        stranger = LocalServer(local.data, replace(local.address, password="other"))
        with pytest.raises(ServerError, match="Set PGUSER and PGPASSWORD"):
            stranger.up()
    finally:
        local.remove()
    assert not os.path.lexists(local.data)


def the_role_is_no_superuser(server: LocalServer) -> None:
    """The role with the public password owns its database, and can neither run programs nor read files."""
    with connect(server.address) as connection:
        assert connection.execute("show is_superuser").fetchone() == ("off",)
        owner = "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
        assert connection.execute(owner).fetchone() == ("ingot",)
        assert connection.execute("select extname from pg_extension where extname = 'pgstattuple'").fetchone()
        connection.execute("create table public.items (item_id bigint primary key)")
        assert connection.execute("select free_percent from pgstattuple('public.items')").fetchone()
        connection.execute("create database scratch")
        connection.execute("drop database scratch")
        for statement in (
            "copy public.items from program 'echo 1'",
            "copy public.items from '/etc/passwd'",
            "select pg_read_file('superuser_password')",
            "alter system set fsync = off",
            "create role friend superuser",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    file = server.data / "superuser_password"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == psutil.Process(server.pid()).uids().real
    with pytest.raises(ServerError, match="Set PGUSER and PGPASSWORD"):
        connect(replace(server.address, user="postgres"))
    with connect(server.superuser_address) as connection:
        assert connection.execute("show is_superuser").fetchone() == ("on",)


def test_a_server_of_an_earlier_version_is_refused_with_the_command(own: LocalServer) -> None:
    """Its role for loads and builds was the bootstrap superuser, and there was no password file."""
    (own.data / "superuser_password").unlink()
    for state in ("running", "stopped"):
        with pytest.raises(ServerError, match="loaders db down --remove-data && python -m loaders db up"):
            own.up()
        assert own.down() == ("stopped" if state == "running" else "not running")
    own.remove()
    assert own.up().startswith("up: ")


def test_the_superuser_is_not_the_projects_role(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="Unset PGUSER"):
        LocalServer(tmp_path / ".pgdata", Address(port=free_port(), user="postgres")).up()
    assert not (tmp_path / ".pgdata").exists()


def test_the_server_of_a_killed_pytest_is_removed_by_the_next_run(tmp_path: Path) -> None:
    servers = tmp_path / "servers"
    program = f"""
        from pathlib import Path
        from tests.conftest import server_of_tests
        with server_of_tests(Path({str(servers)!r})) as server:
            print(server.data, server.pid(), flush=True)
            input()
    """
    command = [sys.executable, "-c", dedent(program)]
    with (
        server_of_tests(servers) as alive,
        subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run,
    ):
        assert run.stdout is not None
        data, pid = run.stdout.readline().split()
        remove_abandoned_servers(servers)
        assert psutil.pid_exists(int(pid)), "its pytest is alive"
        run.kill()
        run.wait()
        remove_abandoned_servers(servers)
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
        assert not os.path.lexists(data)
        with connect(alive.address) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert [folder.name.split("-")[0] for folder in servers.iterdir()] == [str(os.getpid())]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = LocalServer(tmp_path / ".pgdata", Address(port=port))
        try:
            with pytest.raises(ServerError, match=f"Port {port} .* is taken .* PGPORT"):
                server.up()
        finally:
            server.remove()


def test_another_server_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="it is left alone"):
        LocalServer(tmp_path, Address(host="db.example"))


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("")
    with pytest.raises(ServerError, match="is not empty and holds no cluster"):
        LocalServer(tmp_path, Address(port=free_port())).up()
    assert (tmp_path / "precious").exists()


def test_pg_bin_without_pg_ctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(ServerError, match="holds no pg_ctl"):
        LocalServer(tmp_path / ".pgdata", Address(port=free_port())).up()


def test_the_environment_is_libpqs() -> None:
    named = {"PGHOST": "h", "PGPORT": "1", "PGDATABASE": "d", "PGUSER": "u", "PGPASSWORD": "p"}
    address = Address.from_environment(named)
    assert address == Address(host="h", port=1, database="d", user="u", password="p")
    assert address.environment == named
    assert Address.from_environment({"PGHOST": ""}) == Address()
    assert address.url == "postgresql://u:****@h:1/d"
    assert address.psql_url == "postgresql://u@h:1/d"
    assert Address().psql_url == "postgresql://ingot:ingot@127.0.0.1:54329/ingot"
    for port in ("0", "65536", "-1", "x"):
        with pytest.raises(SettingError, match="PGPORT"):
            Address.from_environment({"PGPORT": port})


@pytest.mark.parametrize("gigabytes", [1, 16, 1024])
def test_settings_fit_the_memory(gigabytes: int) -> None:
    text = settings_file(18, 5432, gigabytes * 1024**3)
    settings = dict(line.split(" = ") for line in text.splitlines() if not line.startswith("#"))
    assert int(settings["shared_buffers"].removesuffix("MB")) == min(gigabytes * 256, 8192)
    assert 1 <= int(settings["work_mem"].removesuffix("MB")) <= 128


def test_every_error_is_a_loader_error() -> None:
    assert issubclass(ServerError, LoaderError)
