"""What passes is tried again: a restarted server, a lost connection, a read-only server, too many connections."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.conftest import Project, free_port
from tests.loaders.oracle import count
from tests.loaders.test_exactly_once import each_once, write_people

RECORDS = 300_000


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LocalServer]:
    """A server of the test's own, to be mistreated."""
    server = LocalServer(tmp_path / "server" / ".pgdata", Address(port=free_port()))
    server.up()
    yield server
    server.remove()


@pytest.fixture
def frail(own: LocalServer, tmp_path: Path) -> Project:
    (tmp_path / "data" / "bronze").mkdir(parents=True)
    return Project(tmp_path, own.address)


def kill_and_start(server: LocalServer) -> None:
    """SIGKILL the postmaster, and start it again once it is gone."""
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.pid() is not None:
        time.sleep(0.02)
    server.up()


def wait_until_copying(address: Address) -> None:
    deadline = time.monotonic() + 30
    with connect(address) as connection:
        while not connection.execute(
            "select 1 from pg_stat_activity where application_name = 'ingot load' and datname = current_database()"
        ).fetchone():
            assert time.monotonic() < deadline


def load_while(project: Project, happens: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    """Run a load, let something happen once it copies, and return how it ended."""
    process = project.start("load")
    wait_until_copying(project.address)
    time.sleep(0.05)
    assert process.poll() is None
    happens()
    out, said = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_in_mid_load(frail: Project, own: LocalServer, mode: str) -> None:
    write_people(frail, files=2, records=RECORDS)

    def restart() -> None:
        own._run("pg_ctl", "restart", "--wait", "--mode", mode, "-D", own._real_data, "-l", own._real_data / "log")

    done = load_while(frail, restart)
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    with connect(own.address) as connection:
        each_once(connection, 2 * RECORDS)


def test_sigkill_of_the_server_in_mid_load(frail: Project, own: LocalServer) -> None:
    write_people(frail, files=2, records=RECORDS)

    done = load_while(frail, lambda: kill_and_start(own))
    assert done.returncode == 0, done.stderr
    with connect(own.address) as connection:
        each_once(connection, 2 * RECORDS)


def test_a_server_that_stays_away_is_one_error_and_a_rerun_mends_it(
    frail: Project, own: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_people(frail, files=2, records=RECORDS)
    monkeypatch.setenv("PYTHONPATH", "")
    process = frail.start("load")
    wait_until_copying(own.address)
    own.down()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.count("trying again") >= 3
    assert said.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in said
    own.up()
    assert frail.run("load").returncode == 0
    with connect(own.address) as connection:
        each_once(connection, 2 * RECORDS)


def test_terminated_backends(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=2, records=RECORDS)

    def terminate() -> None:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name like 'ingot%' and pid <> pg_backend_pid() and datname = current_database()"
        )

    done = load_while(project, terminate)
    assert done.returncode == 0, done.stderr
    each_once(connection, records)


def test_a_read_only_server_is_waited_for(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=1, records=100)
    name = project.address.database
    connection.execute(f"alter database {name} set default_transaction_read_only = on".encode())
    process = project.start("load")
    time.sleep(1.5)
    assert process.poll() is None, process.communicate()
    with psycopg.connect(project.address.conninfo, autocommit=True) as other:
        other.execute("set default_transaction_read_only = off")
        other.execute(f"alter database {name} reset default_transaction_read_only".encode())
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "read-only" in said
    each_once(connection, records)


def test_too_many_connections_are_waited_for(
    project: Project, connection: psycopg.Connection, server: LocalServer
) -> None:
    records = write_people(project, files=1, records=100)
    role = "narrow"
    with connect(server.address) as admin:
        admin.execute(f"create role {role} login password 'narrow' connection limit 1".encode())
        admin.execute(f"grant all on database {project.address.database} to {role}".encode())
    try:
        narrow = Project(project.folder, replace(project.address, user=role, password="narrow"))
        process = narrow.start("load", "--workers", "1")
        time.sleep(1.5)
        assert process.poll() is None, process.communicate()
        connection.execute(f"alter role {role} connection limit 9".encode())
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "too many connections" in said
        each_once(connection, records)
    finally:
        connection.execute(f"drop owned by {role} cascade; drop role {role}".encode())


def root(*command: str | Path) -> bool:
    program = shutil.which(command[0])
    return (
        program is not None
        and subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A mounted tmpfs of 4 MiB, outside pytest's folders, which the server's account may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="ingot-small-"))
    if not root("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder):
        folder.rmdir()
        pytest.skip("no tmpfs can be mounted here: it takes root")
    yield folder
    assert root("umount", folder)
    folder.rmdir()


def test_a_full_disk_fails_the_load_and_a_rerun_mends_it(small_disk: Path, own: LocalServer, frail: Project) -> None:
    assert own.account is not None
    shutil.chown(small_disk, own.account.uid, own.account.gid)
    small_disk.chmod(0o755)
    records = write_people(frail, files=1, records=200_000)
    with connect(own.address) as connection:
        connection.execute(f"create tablespace small location '{small_disk}'".encode())
        connection.execute("alter database ingot set default_tablespace = small")
    done = frail.run("load")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "No space left on device" in line
    assert root("mount", "-o", "remount,size=400m", small_disk)
    assert frail.run("load").returncode == 0
    with connect(own.address) as connection:
        each_once(connection, records)
    own.remove()


def test_a_loader_that_stands_still_is_not_undone(project: Project, connection: psycopg.Connection) -> None:
    """A loader that stands still is not mistaken for a dead one; once it is dead, the next one takes over."""
    records = write_people(project, files=2, records=RECORDS)
    process = project.start("load")
    wait_until_copying(project.address)
    process.send_signal(signal.SIGSTOP)
    rival = project.run("load")
    assert rival.returncode == 0
    assert "nothing new" in rival.stdout
    assert count(connection, "select count(*) from ops.loads where status = 'complete'") == 0
    process.kill()
    process.communicate()
    assert project.run("load").returncode == 0
    each_once(connection, records)
