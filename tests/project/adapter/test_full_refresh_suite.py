"""dbt's tests of table and incremental models, on this repository's materializations."""

import pytest
from dbt.tests.adapter.basic.test_base import BaseSimpleMaterializations
from dbt.tests.adapter.basic.test_generic_tests import BaseGenericTests
from dbt.tests.adapter.basic.test_incremental import BaseIncremental, BaseIncrementalNotSchemaChange
from dbt.tests.adapter.basic.test_table_materialization import BaseTableMaterialization
from dbt.tests.adapter.concurrency.test_concurrency import BaseConcurrency
from dbt.tests.adapter.constraints.test_constraints import BaseConstraintsRollback as BaseTableConstraintsRollback
from dbt.tests.adapter.constraints.test_constraints import (
    BaseIncrementalConstraintsColumnsEqual,
    BaseIncrementalConstraintsRollback,
    BaseIncrementalContractSqlHeader,
    BaseIncrementalForeignKeyConstraint,
    BaseTableConstraintsColumnsEqual,
    BaseTableContractSqlHeader,
)
from dbt.tests.adapter.empty.test_empty import BaseTestEmpty
from dbt.tests.adapter.grants.test_incremental_grants import BaseIncrementalGrants
from dbt.tests.adapter.grants.test_model_grants import BaseModelGrants
from dbt.tests.adapter.hooks.test_model_hooks import BaseDuplicateHooksInConfigs
from dbt.tests.adapter.incremental.test_incremental_merge_exclude_columns import BaseMergeExcludeColumns
from dbt.tests.adapter.incremental.test_incremental_microbatch import BaseMicrobatch
from dbt.tests.adapter.incremental.test_incremental_on_schema_change import BaseIncrementalOnSchemaChange
from dbt.tests.adapter.incremental.test_incremental_predicates import BaseIncrementalPredicates
from dbt.tests.adapter.incremental.test_incremental_unique_id import BaseIncrementalUniqueKey
from dbt.tests.adapter.persist_docs.test_persist_docs import BasePersistDocs
from dbt.tests.adapter.relations.test_changing_relation_type import BaseChangeRelationTypeValidator
from dbt.tests.adapter.simple_copy.test_simple_copy import EmptyModelsArentRunBase, SimpleCopyBase
from dbt.tests.adapter.unit_testing.test_types import BaseUnitTestingTypes

# Their fixtures and dbt's own dependencies warn.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class TestSimpleMaterializations(BaseSimpleMaterializations):
    pass


class TestGenericTests(BaseGenericTests):
    pass


class TestTable(BaseTableMaterialization):
    pass


class TestStockIncremental(BaseIncremental):
    pass


class TestStockIncrementalNotSchemaChange(BaseIncrementalNotSchemaChange):
    pass


class TestStockUniqueKey(BaseIncrementalUniqueKey):
    pass


class TestStockOnSchemaChange(BaseIncrementalOnSchemaChange):
    pass


class TestStockPredicates(BaseIncrementalPredicates):
    pass


class TestStockMergeExcludeColumns(BaseMergeExcludeColumns):
    pass


class TestStockMicrobatch(BaseMicrobatch):
    pass


class TestConcurrency(BaseConcurrency):
    pass


class TestEmpty(BaseTestEmpty):
    pass


class TestTableContract(BaseTableConstraintsColumnsEqual):
    pass


class TestIncrementalContract(BaseIncrementalConstraintsColumnsEqual):
    pass


class TestTableContractRollback(BaseTableConstraintsRollback):
    @pytest.fixture(scope="class")
    def expected_error_messages(self) -> list[str]:
        """The constraints are put on the rows once they are there."""
        return ['column "id" of relation', "contains null values"]


class TestIncrementalContractRollback(BaseIncrementalConstraintsRollback):
    pass


class TestTableContractSqlHeader(BaseTableContractSqlHeader):
    pass


class TestIncrementalContractSqlHeader(BaseIncrementalContractSqlHeader):
    pass


class TestIncrementalForeignKey(BaseIncrementalForeignKeyConstraint):
    pass


class TestModelGrants(BaseModelGrants):
    pass


class TestIncrementalGrants(BaseIncrementalGrants):
    pass


class TestDuplicateHooks(BaseDuplicateHooksInConfigs):
    pass


class TestPersistDocs(BasePersistDocs):
    pass


class TestChangeOfRelationType(BaseChangeRelationTypeValidator):
    pass


class TestSimpleCopy(SimpleCopyBase):
    pass


class TestEmptyModels(EmptyModelsArentRunBase):
    pass


class TestUnitTestTypes(BaseUnitTestingTypes):
    pass
