"""Chunks whose keys are there already: by a temporary table and one INSERT, with the rows that executemany leaves."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from loaders import InsertResult, insert_records
from loaders.connection import Address
from loaders.server import LocalServer
from tests.waiting import wait_for_statistics

WAYS = pytest.mark.parametrize("use_copy", [True, False], ids=["temporary table", "executemany"])


@pytest.fixture
def notes(connection: psycopg.Connection) -> psycopg.Connection:
    """A table with a key that may be NULL, a domain, types with lengths, and columns that the database fills."""
    connection.execute("""
        create domain even as integer check (value % 2 = 0);
        create table notes (
            kind varchar(5), number integer, code char(3), bits bit(4), half even, price numeric(6, 2),
            doubled integer generated always as (number * 2) stored, id bigint generated always as identity,
            unique (kind, number)
        );
        insert into notes (kind, number, code) values ('a', 1, 'old'), ('a', 2, 'old')
    """)
    return connection


def insert(address: Address, records: Sequence[dict[str, Any]], **options: Any) -> InsertResult:
    return asyncio.run(insert_records(address.conninfo, "notes", records, **{"max_tasks": 1} | options))


def note(kind: str | None, number: int, code: str = "new") -> dict[str, Any]:
    return {"kind": kind, "number": number, "code": code, "bits": "0101", "half": 2, "price": "1.005"}


def rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute("select kind, number, code, price::text, doubled from notes order by 1, 2, 3").fetchall()


@WAYS
def test_an_update_takes_the_last_row_of_a_key_and_every_null(
    address: Address, notes: psycopg.Connection, use_copy: bool
) -> None:
    records = [note("a", 1), note("b", 1, "no"), note(None, 1), note("b", 1, "yes"), note(None, 1)]
    result = insert(address, records, on_conflict="update", key=["kind", "number"], use_copy=use_copy)
    assert (result.failed_chunks, result.records) == ((), 5)
    assert [row[:3] for row in rows(notes)] == [
        ("a", 1, "new"), ("a", 2, "old"), ("b", 1, "yes"), (None, 1, "new"), (None, 1, "new"),
    ]  # fmt: skip
    assert {row[3] for row in rows(notes)} == {None, "1.01"}
    assert {row[4] for row in rows(notes)} == {2, 4}


@WAYS
def test_nothing_keeps_the_first_row_of_a_key(address: Address, notes: psycopg.Connection, use_copy: bool) -> None:
    records = [note("a", 1), note("c", 1, "1st"), note("c", 1, "2nd")]
    result = insert(address, records, on_conflict="nothing", use_copy=use_copy)
    assert (result.inserted, result.failed_chunks) == (1, ())
    assert [row[:3] for row in rows(notes)] == [("a", 1, "old"), ("a", 2, "old"), ("c", 1, "1st")]


@pytest.mark.parametrize(("field", "value"), [("kind", "too long"), ("half", 1), ("price", "12345678"), ("bits", "1")])
def test_what_the_table_refuses_fails_its_chunk(
    address: Address, notes: psycopg.Connection, field: str, value: Any
) -> None:
    bad = note("b", 9) | {field: value}
    records = [note("a", 1), note("a", 2), bad, note("b", 8)]
    result = insert(address, records, on_conflict="update", key=["kind", "number"], chunk_size=2)
    assert [chunk.records for chunk in result.failed_chunks] == [range(2, 4)]
    assert [row[2] for row in rows(notes)] == ["new", "new"]


def test_a_key_that_is_there_costs_a_statement_a_chunk_and_leaves_no_table(
    address: Address, notes: psycopg.Connection
) -> None:
    records = [note("a", number) for number in range(500)]
    result = insert(address, records, on_conflict="update", key=["kind", "number"], chunk_size=50)
    assert (result.inserted, result.successful_chunks) == (500, 10)
    wait_for_statistics(notes)
    [[updated]] = notes.execute("select n_tup_upd from pg_stat_user_tables where relname = 'notes'").fetchall()
    assert updated == 2
    assert notes.execute("select count(*) from pg_class where relname like 'ingot rec%'").fetchone() == (0,)


def test_a_role_without_temporary_tables_goes_by_executemany(
    address: Address, notes: psycopg.Connection, server: LocalServer
) -> None:
    owner = replace(server.superuser_address, database=address.database)
    with psycopg.connect(owner.conninfo, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL(
                "revoke temporary on database {} from public;"
                "create role writer login password 'w' in role pg_write_all_data, pg_read_all_data"
            ).format(sql.Identifier(address.database))
        )
        try:
            writer = replace(address, user="writer", password="w")
            result = insert(writer, [note("a", 1)], on_conflict="update", key=["kind", "number"])
            assert (result.inserted, result.failed_chunks) == (1, ())
        finally:
            superuser.execute("drop role writer")
    assert rows(notes)[0][2] == "new"
