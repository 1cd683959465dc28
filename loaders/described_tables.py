"""The raw tables of sources that have not been loaded: there, empty, so that dbt can build the whole project."""

from collections.abc import Sequence

from loaders.connection import Address, connect
from loaders.ledger import Ledger
from loaders.raw_table import create_or_widen, raw_table
from loaders.sources import SourceTable


def create_described_tables(address: Address, sources: Sequence[SourceTable]) -> None:
    """Create the raw tables that are missing, with the columns that the sources' YAML describes."""
    with connect(address) as connection:
        ledger = Ledger(connection)
        ledger.create()
        names = [str(raw_table(source).identifier.as_string(connection)) for source in sources]
        found = connection.execute("select to_regclass(name) is null from unnest(%s::text[]) as names (name)", [names])
        missing = [source for source, (is_missing,) in zip(sources, found, strict=True) if is_missing]
        if missing:
            with ledger.exclusive_ddl():
                for source in missing:
                    create_or_widen(connection, source, source.columns)
