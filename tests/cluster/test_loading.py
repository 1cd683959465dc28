"""Loading on a cluster: raw tables are distributed, and every promise of a load holds on all nodes."""

from collections.abc import Sequence
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from loaders import distribution
from loaders.cluster import LocalCluster
from loaders.connection import Address, connect
from loaders.distribution import is_cluster
from loaders.errors import LoadError, SettingError, SourceError
from tests.citus import WORKERS
from tests.cluster.support import each_once
from tests.conftest import Project
from tests.loaders.oracle import count
from tests.loaders.people import write_people

DISTRIBUTION = """
select table_name::text, distribution_column from citus_tables
where citus_table_type = 'distributed' and table_name::text like 'staging.%%' order by 1
"""
NODES = """
select count(distinct nodeport) from citus_shards
where table_name = 'staging.people__rows'::regclass
"""


@pytest.fixture
def rows(project: Project) -> Project:
    project.declare("people")
    return project


def test_a_raw_table_is_distributed_and_its_segments_follow(rows: Project, connection: psycopg.Connection) -> None:
    rows.write("people/1.csv", "id,name\n1,Ada\n")
    rows.write("people/2.csv", "id,name,age\n2,Bob,30\n")
    report = rows.load("people")
    assert [load.records for load in report.loads] == [2]
    assert connection.execute(DISTRIBUTION).fetchall() == [
        ("staging.people__rows", "_file_id"),
        ("staging.people__rows__1", "_file_id"),
    ]
    assert connection.execute(NODES).fetchone() == (WORKERS,)
    landed = connection.execute("select id, name, age from staging.people__rows order by id").fetchall()
    assert landed == [("1", "Ada", None), ("2", "Bob", "30")]
    assert rows.load("people").loads == [], "the same content lands once"
    # The ledger stays where its locks are.
    assert connection.execute("select from citus_tables where table_name::text like 'ops.%'").fetchone() is None


def test_a_file_of_many_copies_and_workers_lands_once(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=3, records=100_000)
    done = project.run("load", "--workers", "3")
    assert done.returncode == 0, done.stderr
    each_once(connection, records)


def test_undoing_waits_for_what_nodes_have_still_to_commit(
    cluster: LocalCluster, address: Address, connection: psycopg.Connection
) -> None:
    worker = replace(cluster.workers[0].superuser_address, database=address.database)
    with connect(worker) as there:
        # Of a node that the cluster does not have, so that Citus does not roll it back; and of a program of its own.
        for gid in ("citus_99_1_1_1", "another"):
            there.execute("begin")
            there.execute("select pg_current_xact_id()")
            there.execute(f"prepare transaction '{gid}'".encode())
        try:
            with pytest.raises(LoadError, match="still holds what was prepared"):
                distribution.wait_for_commits(connection, seconds=0.1)
            there.execute("rollback prepared 'citus_99_1_1_1'")
            distribution.wait_for_commits(connection, seconds=0)
        finally:
            for (gid,) in there.execute(
                "select gid from pg_prepared_xacts where gid ~ '^(citus_99|another)'"
            ).fetchall():
                there.execute(f"rollback prepared '{gid}'".encode())


def test_rejects_and_failed_files(rows: Project, connection: psycopg.Connection) -> None:
    rows.write("people/1.csv", "id,name\n1,Ada\n2,Bob,too many\n3,Cem\n")
    rows.write("people/2.csv", "id,name\n4,Dan\n5,Eve,too many\n6,Fay,too many\n")
    report = rows.load("people", max_rejects=1)
    assert len(report.problems) == 1
    assert connection.execute("select id from staging.people__rows order by id").fetchall() == [("1",), ("3",)]
    assert count(connection, "select count(*) from ops.rejected_rows inner join ops.files using (file_id) "
                             "where released_at is null") == 1  # fmt: skip
    assert count(connection, "select sum(records + rejected) from ops.loads where status = 'complete'") == 3


def test_a_full_refresh_and_a_discard(rows: Project, connection: psycopg.Connection) -> None:
    rows.write("people/1.csv", "id,name\n1,Ada\n")
    rows.load("people")
    rows.write("people/1.csv", "id,name\n1,Ana\n")
    [load] = rows.load("people", full_refresh=True).loads
    assert connection.execute("select name from staging.people__rows").fetchall() == [("Ana",)]
    assert [name for name, _ in connection.execute(DISTRIBUTION)] == [
        "staging.people__rows", f"staging.people__rows__{load.load_id}"
    ], "the old segment is dropped"  # fmt: skip
    done = rows.run("discard", str(load.load_id))
    assert done.returncode == 0, done.stderr
    assert count(connection, "select count(*) from staging.people__rows") == 0


def test_what_a_source_may_say_of_its_distribution(project: Project, connection: psycopg.Connection) -> None:
    def declare(described: Sequence[str], **meta: object) -> None:
        project.declare("people", described=described, meta=meta)

    project.write("people/1.csv", "id,name\n1,Ada\n2,Bob\n,Cem\n")
    declare([], distributed_by="id")
    with pytest.raises(SourceError, match=r"distributed_by is 'id', which is not described\. Use: _load_id, _file_id"):
        project.load("people")
    declare(["id"], reference=True)
    with pytest.raises(SourceError, match="has partitions, of which Citus makes no reference table"):
        project.load("people")
    declare(["id"], distributed_by="id")
    report = project.load("people", max_rejects=1)
    assert report.problems == []
    assert connection.execute(DISTRIBUTION).fetchall()[0] == ("staging.people__rows", "id")
    # Without a value it has no shard.
    assert [load.rejected for load in report.loads] == [1]


def test_a_worker_is_refused(cluster: LocalCluster, project: Project, address: Address) -> None:
    [worker, *_] = cluster.workers
    with connect(worker.address) as connection, pytest.raises(SettingError, match="Set PGHOST and PGPORT to the coord"):
        is_cluster(connection)
    project.declare("people")
    project.write("people/1.csv", "id,name\n1,Ada\n")
    project.address = worker.address
    done = project.run("load")
    assert done.returncode == 1
    assert "This node is a worker" in done.stderr


def test_rows_that_no_node_shows_are_waited_for(
    rows: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.write("people/1.csv", "id,name\n1,Ada\n")
    [load] = rows.load("people").loads
    [(file_id,)] = connection.execute("select file_id from ops.files").fetchall()
    table = sql.Identifier("staging", "people__rows")
    distribution.wait_for_rows(connection, table, load.load_id, {file_id: 1})
    monkeypatch.setattr(distribution, "COUNT_SECONDS", 0.1)
    with pytest.raises(LoadError, match="2 records were sent, and the nodes show 1 of them"):
        distribution.wait_for_rows(connection, table, load.load_id, {file_id: 2})
