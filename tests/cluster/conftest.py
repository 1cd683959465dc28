"""A Citus cluster a session, emptied for each test; without programs that have the extension the tests are skipped."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from loaders.cluster import LocalCluster
from loaders.connection import Address, connect
from tests.citus import cluster_of_tests, drop_everything
from tests.project.conftest import Bronze, Dbt


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    with cluster_of_tests() as cluster:
        yield cluster


@pytest.fixture
def superuser(cluster: LocalCluster) -> Iterator[psycopg.Connection]:
    address = replace(cluster.coordinator.superuser_address, database=cluster.address.database)
    with connect(address) as connection:
        yield connection


@pytest.fixture
def address(cluster: LocalCluster, superuser: psycopg.Connection) -> Address:
    """The coordinator's address, its database emptied."""
    drop_everything(superuser)
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
