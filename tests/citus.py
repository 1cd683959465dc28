"""A Citus cluster for tests: started for a session, its database emptied for each test."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from loaders.cluster import LocalCluster
from loaders.connection import Address
from loaders.errors import LoaderError
from tests.processes import abandoned_folders, folder_of_process, free_port

WORKERS = 2
CLUSTERS = Path(tempfile.gettempdir()) / f"ingot-test-clusters-{os.getuid()}"


@contextmanager
def cluster_of_tests() -> Iterator[LocalCluster]:
    """Run a cluster with a database `project`; skip the test where no programs have the extension."""
    programs = os.environ.get("CITUS_BIN")
    if not programs:
        pytest.skip("no cluster: CITUS_BIN does not name PostgreSQL programs that have Citus (.ci/run builds them)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", programs)
        _remove_abandoned_clusters()
        with folder_of_process(CLUSTERS) as folder:
            nodes = LocalCluster(folder / "nodes", Address(port=_free_ports(), database="project"))
            try:
                nodes.up(WORKERS)
                yield nodes
            finally:
                nodes.remove()


def drop_everything(superuser: psycopg.Connection) -> None:
    """Drop what a test has made in the cluster's database."""
    # Shards left by a killed node's test are locked until their transactions are recovered.
    superuser.execute("select recover_prepared_transactions()")
    superuser.execute("drop extension if exists pgstattuple")
    made = superuser.execute(
        """
        select quote_ident(nspname) from pg_namespace
        where nspname !~ '^pg_|^citus|^columnar' and nspname not in ('information_schema', 'public')
        """
    ).fetchall()
    made_in_public = superuser.execute(
        """
        select oid::regclass::text from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not exists (
            select from pg_depend where objid = pg_class.oid and deptype = 'e'
        )
        """
    ).fetchall()
    for kind, names in (("schema", made), ("table", made_in_public)):
        if names:
            superuser.execute(sql.SQL(f"drop {kind} {', '.join(name for (name,) in names)} cascade"))


def _free_ports() -> int:
    """Return the first of as many free ports as there are nodes."""
    while True:
        first = free_port()
        # Never the session's own again: the system hands out free ones in no order.
        if all(_is_free(first + number) for number in range(1, WORKERS + 1)):
            return first


def _is_free(port: int) -> bool:
    return port < 65536 and not any(
        connection.laddr.port == port for connection in psutil.net_connections("tcp") if connection.laddr
    )


def _remove_abandoned_clusters() -> None:
    """Stop and remove the clusters whose process of pytest is gone."""
    for folder in abandoned_folders(CLUSTERS):
        with suppress(LoaderError, OSError):
            LocalCluster(folder / "nodes", Address()).remove()
