"""dbt's own tests of adapters, run with this repository's macros in their projects."""

from collections.abc import Iterator
from typing import Any

import pytest
from dbt.adapters.factory import reset_adapters
from dbt.tests.fixtures.project import *  # noqa: F403 - pytest finds fixtures by their names here

from loaders.connection import connect
from loaders.server import LocalServer
from tests.conftest import REPOSITORY

UPSERT = {
    "+incremental_strategy": "upsert",
    "+unique_key": "id",
    "+indexes": [{"columns": ["id"], "unique": True}],
}


@pytest.fixture(scope="class", autouse=True)
def own_adapter() -> None:
    """Forget the adapter of the project's tests: dbt keeps one a process, database and all."""
    reset_adapters()


@pytest.fixture(scope="class")
def dbt_profile_target(server: LocalServer) -> dict[str, Any]:
    address = server.address
    return {
        "type": "postgres",
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "pass": address.password,
        "dbname": address.database,
        "threads": 2,
    }


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder for dbt's logs that is not the repository's; the artifacts stay where these tests look for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DBT_TARGET_PATH", raising=False)
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


@pytest.fixture(scope="class")
def macros() -> dict[str, str]:
    """The macros that materialize; those of the layers' schemas and of the ledger have no place in these projects."""
    folders = ("distribution", "materializations", "upsert", "increments")
    return {
        path.name: path.read_text() for folder in folders for path in (REPOSITORY / "macros" / folder).glob("*.sql")
    }


@pytest.fixture(scope="class", autouse=True)
def users(server: LocalServer) -> Iterator[None]:
    """The users that the tests of grants grant to."""
    names = [f"dbt_test_user_{number}" for number in (1, 2, 3)]
    with pytest.MonkeyPatch.context() as patch, connect(server.address) as connection:
        for number, name in enumerate(names, 1):
            patch.setenv(f"DBT_TEST_USER_{number}", name)
            connection.execute(f"create role {name}")
        yield
        for name in names:
            connection.execute(f"drop owned by {name} cascade; drop role {name}")
