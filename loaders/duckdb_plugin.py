"""What the dbt target `duckdb` needs of the loader: dbt-duckdb asks for it as a plugin (profiles.yml)."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from loaders.duckdb_landing import land_sources
from loaders.errors import LoaderError
from loaders.roots import bronze_root
from loaders.sources import read_sources


class Plugin(BasePlugin):  # type: ignore[misc] # dbt-duckdb has no types
    """Gives SQL the function `land_bronze`, which macros/increments/require_ledger.sql calls."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Make the folder of the file."""
        Path(creds.path).parent.mkdir(parents=True, exist_ok=True)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the function on the connection that all of dbt's are cursors of."""

        def land_bronze(project: str) -> str:
            """Land what is new of the project's sources; return JSON, a list of what landed or an error's words."""
            try:
                # A connection of its own: the one that calls is in the middle of a query.
                with conn.cursor() as cursor:
                    landed = land_sources(cursor, read_sources(Path(project)), bronze_root())
            except LoaderError as error:
                return json.dumps({"error": str(error), "landed": []})
            return json.dumps({"error": None, "landed": [asdict(one) for one in landed]})

        conn.create_function("land_bronze", land_bronze, ["VARCHAR"], "VARCHAR", side_effects=True)
