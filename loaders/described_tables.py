"""The raw tables of sources that have not been loaded: there, empty, so that dbt can build the whole project."""

from collections.abc import Sequence

from loaders.connection import Address, connect
from loaders.ledger_version import create_ledger
from loaders.locks import exclusive_ddl
from loaders.raw_table import create_raw_table, raw_table_exists
from loaders.sources import SourceTable


def create_described_tables(address: Address, sources: Sequence[SourceTable]) -> None:
    """Create the raw tables that are missing, with the columns that the sources' YAML describes."""
    with connect(address) as connection:
        create_ledger(connection)
        missing = [source for source in sources if not raw_table_exists(connection, source.raw_table)]
        if missing:
            with exclusive_ddl(connection):
                for source in missing:
                    types = source.bronze.copy_format.column_types(source.columns)
                    create_raw_table(connection, source.raw_table, types, distributed_by=source.distributed_by)
