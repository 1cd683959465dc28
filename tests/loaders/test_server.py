"""The local server: up and down as often as one likes, and one line for what stands in its way."""

import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from loaders.connection import Address, connect
from loaders.errors import LoaderError, ServerError, SettingError
from loaders.server import LocalServer
from loaders.server_settings import settings_file
from tests.conftest import free_port


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalServer:
    return LocalServer(tmp_path_factory.mktemp("a path with spaces") / ".pgdata", Address(port=free_port()))


def test_its_life(local: LocalServer) -> None:
    try:
        assert local.up().startswith("up: ")
        assert local.up().startswith("already up: ")
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
