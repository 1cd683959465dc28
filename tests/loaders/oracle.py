"""What a file's rows are according to Python's csv module, and what a raw table holds."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg

from loaders.header import snake_case

Row = tuple[str | None, ...]


def csv_rows(data: bytes) -> tuple[list[str], list[list[str]]]:
    """Return the header, in snake_case, and the rows of a CSV file."""
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return [snake_case(name) for name in header], rows


def landed(connection: psycopg.Connection, source: str, columns: Sequence[str]) -> Counter[tuple[str, ...]]:
    """Return the raw table's rows with NULL as the empty text, as csv reads it, and how often each occurs."""
    names = ", ".join(f"coalesce(\"{column}\", '')" for column in columns)
    query = f"select {names} from staging.{source}__rows"
    return Counter(connection.execute(query.encode()).fetchall())


def count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def ledger_agrees(connection: psycopg.Connection, source: str) -> None:
    """Assert invariant 3 and that no row stands outside a complete load."""
    table = f"{source}__rows"
    assert not connection.execute(
        f"""
        select load_id, records, count(raw._load_id)
        from ops.loads
        left join staging.{table} as raw on raw._load_id = load_id
        where table_name = '{table}'
        group by load_id
        having count(raw._load_id) <> case status when 'complete' then records else 0 end
        """.encode()
    ).fetchall()
    assert not connection.execute(
        f"""
        select file_id, files.records, files.rejected, count(distinct raw.ctid), count(distinct rejected_rows.ctid)
        from ops.files
        inner join ops.loads using (load_id)
        left join staging.{table} as raw on raw._file_id = file_id
        left join ops.rejected_rows using (file_id)
        where status = 'complete' and files.table_name = '{table}' and released_at is null
        group by file_id
        having files.records <> count(distinct raw.ctid) or files.rejected <> count(distinct rejected_rows.ctid)
        """.encode()
    ).fetchall()


def csv_records(text: str, **dialect: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), **dialect))


def postgresql_records(text: str, quote: str = '"') -> list[list[str]]:
    """Read CSV as PostgreSQL's CopyReadLineText and CopyReadAttributesCSV do, NULL as the empty text."""
    records, fields, value, in_quotes, at = [], [], "", False, 0
    while at < len(text):
        char, after = text[at], text[at + 1 : at + 2]
        at += 1
        if in_quotes and char == after == quote:
            value += char
            at += 1
        elif in_quotes and char == quote:
            in_quotes = False
        elif in_quotes:
            value += char
        elif char == quote:
            in_quotes = True
        elif char == ",":
            fields.append(value)
            value = ""
        elif char == "\n" or (char + after) == "\r\n":
            at += char == "\r"
            records.append([*fields, value])
            fields, value = [], ""
        else:
            value += char
    return records
