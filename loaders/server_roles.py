"""The local server's role and database, which load and build."""

from dataclasses import replace
from typing import LiteralString

import psycopg
from psycopg import sql

from loaders.connection import Address, connect

# What the project's role may do besides owning its database: see statistics (storage_report, settings_report), drop a
# benchmark's database while autovacuum is in it, and checkpoint before a measurement. Nothing that reads files or runs
# programs.
ROLE_GRANTS = "pg_monitor, pg_checkpoint, pg_signal_backend"
EXTENSIONS = ("pgstattuple",)


def create_role_and_database(superuser: Address, address: Address) -> None:
    """Create the role and the database of `address` where they are missing, then log in as that role."""
    role, database = sql.Identifier(address.user), sql.Identifier(address.database)
    with connect(superuser) as connection:
        if not _exists(connection, "select 1 from pg_roles where rolname = %s", address.user):
            connection.execute(sql.SQL("create role {} login createdb password {}").format(role, address.password))
            connection.execute(sql.SQL("grant {} to {}").format(sql.SQL(ROLE_GRANTS), role))
        is_new = not _exists(connection, "select 1 from pg_database where datname = %s", address.database)
        if is_new:
            connection.execute(sql.SQL("create database {} owner {}").format(database, role))
    if is_new:
        with connect(replace(superuser, database=address.database)) as connection:
            for extension in EXTENSIONS:
                # A PostgreSQL chosen by PG_BIN may have been built without its contrib modules.
                if _exists(connection, "select 1 from pg_available_extensions where name = %s", extension):
                    connection.execute(sql.SQL("create extension {}").format(sql.Identifier(extension)))
    connect(address).close()


def _exists(connection: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return connection.execute(query, [name]).fetchone() is not None
