"""Temporary errors are retried: a restarted server, a lost connection, a standby, too many connections."""

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

from bench.compare.scratch_project import write_scratch_project
from bench.queries.benchmarks import dbt_program
from loaders.connection import connect
from loaders.server import LocalServer
from tests.conftest import Project, server_of_tests
from tests.loaders.oracle import count
from tests.loaders.people import SLOW_LOADER, each_once, kill_and_start, wait_until_copying, write_people

RECORDS = 300_000


@pytest.fixture
def own() -> Iterator[LocalServer]:
    """A server of the test's own, to be mistreated."""
    with server_of_tests() as server:
        yield server


@pytest.fixture
def frail(own: LocalServer, tmp_path: Path) -> Project:
    (tmp_path / "data" / "bronze").mkdir(parents=True)
    return Project(tmp_path, own.address)


def load_while(project: Project, happens: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    """Run a load, let something happen once it copies, and return how it ended."""
    process = project.start("load", script=SLOW_LOADER)
    wait_until_copying(project.address, process)
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


def test_a_server_that_stays_away_is_one_error_and_a_rerun_mends_it(frail: Project, own: LocalServer) -> None:
    write_people(frail, files=2, records=RECORDS)
    process = frail.start("load", "--retry-seconds", "8", script=SLOW_LOADER)
    wait_until_copying(own.address, process)
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


@pytest.mark.slow
def test_a_server_that_is_away_for_ninety_seconds(frail: Project, own: LocalServer) -> None:
    write_people(frail, files=2, records=RECORDS)

    def away() -> None:
        own.down()
        time.sleep(90)
        own.up()

    done = load_while(frail, away)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trying again") > 5
    with connect(own.address) as connection:
        each_once(connection, 2 * RECORDS)


def run_pg_ctl(server: LocalServer, *arguments: str) -> None:
    server._run("pg_ctl", *arguments, "--wait", "-D", server._real_data, "-l", server._real_data / "log")


def test_a_standby_is_waited_for_until_it_is_promoted(frail: Project, own: LocalServer) -> None:
    records = write_people(frail, files=1, records=100)
    # A standby reads no WAL of wal_level = minimal: one start of the server between.
    for mode in ("primary", "standby"):
        own.down()
        if mode == "standby":
            own._write(own.data / "standby.signal", "")
        run_pg_ctl(own, "start", "-o", "-c wal_level=replica")
    process = frail.start("load")
    assert process.stderr is not None
    line = process.stderr.readline()
    run_pg_ctl(own, "promote")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "read-only transaction" in line
    assert "trying again in" in line
    with connect(own.address) as connection:
        each_once(connection, records)


def test_dbt_waits_for_a_server_that_comes_back(own: LocalServer, tmp_path: Path) -> None:
    write_scratch_project(tmp_path, {"one.sql": "select 1 as one"})
    own.down()
    environment = os.environ | own.address.environment
    command = [dbt_program(), "show", "--inline", "select 1 as one", "--log-format", "json", "--log-level", "debug"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as dbt:
        assert dbt.stdout is not None
        # The second attempt comes at once and the third after a second: past both, dbt would have given up.
        assert any("4 attempts remaining" in line for line in dbt.stdout)
        own.up()
        said, _ = dbt.communicate(timeout=120)
    assert dbt.returncode == 0, said


def test_too_many_connections_are_waited_for(
    project: Project, connection: psycopg.Connection, superuser: psycopg.Connection
) -> None:
    records = write_people(project, files=1, records=100)
    role = "narrow"
    superuser.execute(f"create role {role} login password 'narrow' connection limit 1".encode())
    superuser.execute(f"grant all on database {project.address.database} to {role}".encode())
    superuser.execute(f"grant {role} to {project.address.user}".encode())
    try:
        narrow = Project(project.folder, replace(project.address, user=role, password="narrow"))
        process = narrow.start("load", "--workers", "1")
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "too many connections" in line
        superuser.execute(f"alter role {role} connection limit 9".encode())
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        each_once(connection, records)
    finally:
        superuser.execute(f"drop owned by {role} cascade; drop role {role}".encode())


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
    with connect(own.superuser_address) as superuser:
        superuser.execute(f"create tablespace small location '{small_disk}'".encode())
        superuser.execute("grant create on tablespace small to ingot")
        superuser.execute("alter database ingot set default_tablespace = small")
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
    process = project.start("load", script=SLOW_LOADER)
    wait_until_copying(project.address, process)
    process.send_signal(signal.SIGSTOP)
    rival = project.run("load")
    assert rival.returncode == 0
    assert "nothing new" in rival.stdout
    assert count(connection, "select count(*) from ops.loads where status = 'complete'") == 0
    process.kill()
    process.communicate()
    assert project.run("load").returncode == 0
    each_once(connection, records)
