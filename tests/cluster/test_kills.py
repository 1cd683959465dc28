"""A worker killed in a COPY, between its two commits, in an increment, in a full refresh: nothing is lost."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from loaders.cluster import LocalCluster
from loaders.connection import connect
from loaders.errors import LoaderError
from loaders.server import LocalServer
from tests.cluster.support import between_commits, each_once, kill
from tests.conftest import Project
from tests.loaders.people import write_people
from tests.project.conftest import Bronze, Dbt
from tests.project.persons import PLACES
from tests.waiting import wait_until

# A node is killed at a moment of its own, which a busy machine moves: too uncertain for a run at every commit.
pytestmark = pytest.mark.slow
RECORDS = 150_000
CORE = "select name, count(*) from core.people group by 1 order by 1"


@pytest.fixture
def worker(cluster: LocalCluster) -> Iterator[LocalServer]:
    """The worker to kill; it is up again afterwards."""
    worker = cluster.workers[0]
    yield worker
    worker.up()


def is_at(worker: LocalServer, query: str) -> bool:
    """Tell whether a session of the worker is at such a statement."""
    with connect(replace(worker.superuser_address, database="project")) as connection:
        sessions = "select from pg_stat_activity where query ilike %s and state = 'active' and pid <> pg_backend_pid()"
        return connection.execute(sessions, [query]).fetchone() is not None


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, said = process.communicate(timeout=180)
    return process.returncode, (out or "") + (said or "")


def test_in_a_copy(project: Project, worker: LocalServer, connection: psycopg.Connection) -> None:
    records = write_people(project, files=4, records=RECORDS)
    process = project.start("load")
    wait_until(lambda: is_at(worker, "copy%people__rows%"))
    kill(worker)
    time.sleep(1)
    worker.up()
    code, said = ended(process)
    assert code == 0, said
    assert "trying again" in said
    each_once(connection, records)


def test_between_the_two_commits_of_a_copy(
    project: Project, cluster: LocalCluster, worker: LocalServer, connection: psycopg.Connection
) -> None:
    """The loader hears that its COPY succeeded, and the rows show once Citus has recovered the worker's part."""
    # By a column of the records, since a COPY that touches one shard has one commit.
    project.declare("people", described=["id", "name", "filler"], meta={"distributed_by": "id"})
    project.write("people/first.csv", "id,name,filler\n-1,first,x\n")
    project.load("people")
    records = 1 + write_people(project, files=4, records=RECORDS)
    project.declare("people", described=["id", "name", "filler"], meta={"distributed_by": "id"})
    with between_commits(cluster, "staging.people__rows__1") as gate:
        process = project.start("load")
        gate.wait()
        kill(worker)
        gate.open()
    time.sleep(1)
    worker.up()
    code, said = ended(process)
    assert code == 0, said
    each_once(connection, records)


@pytest.fixture
def people(dbt: Dbt, bronze: Bronze) -> Bronze:
    """The table, built from a first delivery, and a second one landed."""
    for delivery in ("first", "second"):
        bronze.write_people(delivery, dict.fromkeys(range(1, 30_001), f"{delivery},30,true,{PLACES[0]}"))
        bronze.load()
        if delivery == "first":
            dbt.succeed("run", "--select", "+people")
    return bronze


@pytest.mark.parametrize("options", [[], ["--full-refresh"]], ids=["increment", "full refresh"])
def test_in_a_build(
    options: list[str], dbt: Dbt, people: Bronze, worker: LocalServer, connection: psycopg.Connection
) -> None:
    with dbt.running("run", "--select", "people", *options) as building:
        wait_until(lambda: is_at(worker, "%people__dbt%"), pause=0.002)
        kill(worker)
        done = building.result(timeout=120)
    assert done.returncode == 1, done.stdout
    worker.up()
    wait_for_recovery(connection)
    assert connection.execute(CORE).fetchall() == [("first", 30_000)], "the old rows stay"
    assert connection.execute("select count(*) from ops.applied_loads").fetchone() == (1,)
    dbt.succeed("run", "--select", "people", *options)
    assert connection.execute(CORE).fetchall() == [("second", 30_000)]


def test_between_the_two_commits_of_an_increment(
    dbt: Dbt, people: Bronze, cluster: LocalCluster, worker: LocalServer, connection: psycopg.Connection
) -> None:
    with between_commits(cluster, "core.people") as gate, dbt.running("run", "--select", "people") as building:
        gate.wait()
        kill(worker)
        gate.open()
        done = building.result(timeout=120)
    worker.up()
    wait_for_recovery(connection)
    # The coordinator had committed: the marks are there, and so are the rows, of both workers.
    assert connection.execute("select count(*) from ops.applied_loads").fetchone() == (2,), done.stdout
    assert connection.execute(CORE).fetchall() == [("second", 30_000)]
    dbt.succeed("run", "--select", "people")
    assert connection.execute(CORE).fetchall() == [("second", 30_000)]


def wait_for_recovery(connection: psycopg.Connection) -> None:
    """Wait until Citus has ended what the killed worker had prepared."""

    def is_over() -> bool:
        with suppress(psycopg.Error, LoaderError):
            found = connection.execute(
                "select bool_and(success), sum(result::integer) from run_command_on_workers("
                "'select count(*) from pg_prepared_xacts')"
            ).fetchone()
            return found == (True, 0)
        return False

    wait_until(is_over, pause=0.2)
