"""A Citus cluster a session, emptied for each test; without programs that have the extension the tests are skipped."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from loaders.cluster import LocalCluster
from loaders.connection import Address, connect
from loaders.errors import LoaderError
from tests.conftest import free_port, started
from tests.project.conftest import Bronze, Dbt

WORKERS = 2
CLUSTERS = Path(tempfile.gettempdir()) / f"ingot-test-clusters-{os.getuid()}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    programs = os.environ.get("CITUS_BIN")
    if not programs:
        pytest.skip("no cluster: CITUS_BIN does not name PostgreSQL programs that have Citus (.ci/run builds them)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", programs)
        _remove_abandoned_clusters()
        CLUSTERS.mkdir(mode=0o755, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-{started(os.getpid())}-", dir=CLUSTERS))
        folder.chmod(0o755)
        nodes = LocalCluster(folder / "nodes", Address(port=_free_ports(), database="project"))
        try:
            nodes.up(WORKERS)
            yield nodes
        finally:
            nodes.remove()
            shutil.rmtree(folder, ignore_errors=True)


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
    for folder in CLUSTERS.glob("*-*-*"):
        pid, since, _ = folder.name.split("-", 2)
        if started(int(pid)) != since:
            with suppress(LoaderError, OSError):
                LocalCluster(folder / "nodes", Address()).remove()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def superuser(cluster: LocalCluster) -> Iterator[psycopg.Connection]:
    address = replace(cluster.coordinator.superuser_address, database=cluster.address.database)
    with connect(address) as connection:
        yield connection


@pytest.fixture
def address(cluster: LocalCluster, superuser: psycopg.Connection) -> Address:
    """The coordinator's address, its database emptied."""
    # Shards left by a killed node's test are locked until their transactions are recovered.
    superuser.execute("select recover_prepared_transactions()")
    superuser.execute("drop schema if exists core, marts, staging, ops cascade")
    return cluster.address


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def parsed(cluster: LocalCluster, dbt_folder: Path) -> Manifest:
    return Dbt(cluster.address, dbt_folder).parse()


@pytest.fixture
def dbt(address: Address, dbt_folder: Path, parsed: Manifest) -> Dbt:
    return Dbt(address, dbt_folder, manifest=parsed)


@pytest.fixture
def bronze(address: Address, tmp_path: Path) -> Bronze:
    root = tmp_path / "bronze"
    root.mkdir()
    return Bronze(root, address)
