"""A database of a measurement's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import sql

from loaders.connection import Address, connect


@contextmanager
def temporary_database(address: Address, prefix: str = "ingot_bench") -> Iterator[Address]:
    """Yield the address of a new database, which is dropped at the end."""
    name = f"{prefix}_{os.getpid()}"
    with connect(address) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield replace(address, database=name)
        finally:
            with suppress(psycopg.OperationalError):  # where the server is lost, that is what is to be told
                connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
