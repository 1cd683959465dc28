"""dbt's tests of incremental models with upsert as the strategy, where each key is set and unique."""

from typing import Any

import pytest
from dbt.tests.adapter.basic.test_incremental import BaseIncremental
from dbt.tests.adapter.constraints.test_constraints import BaseIncrementalConstraintsRollback
from dbt.tests.adapter.empty.test_empty import BaseTestEmpty
from dbt.tests.adapter.grants.test_incremental_grants import BaseIncrementalGrants
from dbt.tests.adapter.incremental.test_incremental_on_schema_change import BaseIncrementalOnSchemaChange

from tests.project.adapter.conftest import UPSERT

# Their fixtures and dbt's own dependencies warn.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Upsert:
    """Every model of the project has the strategy, a key and its unique index."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"models": UPSERT}


class TestIncremental(Upsert, BaseIncremental):
    pass


class TestOnSchemaChange(Upsert, BaseIncrementalOnSchemaChange):
    pass


class TestContractRollback(Upsert, BaseIncrementalConstraintsRollback):
    pass


class TestGrants(BaseIncrementalGrants):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        key = {"+unique_key": "fun", "+indexes": [{"columns": ["fun"], "unique": True}]}
        return {"models": UPSERT | key}


class TestEmpty(Upsert, BaseTestEmpty):
    pass
