"""Casts read text alike in PostgreSQL and DuckDB: what is a value to one is the same value to the other."""

import random
import re
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address
from loaders.duckdb_landing import LEDGER
from tests.project.conftest import Dbt
from tests.project.engines import DuckDB
from tests.project.spellings import SPELLINGS as MOMENTS

NUMBERS = [
    "7", "-7", "+7", "007", "-0", "2147483647", "2147483648", "-2147483648", "32768", "9223372036854775807",
    "12.5", "-.5", "5.", "1e3", "1E-3", "1e38", "1e39", "1e308", "1e309", "1e-400", "0e-400", "NaN", "infinity",
    "-inf", "0x1F", "1_000", "1.234,56", "1,234.56", "1 234,5", "12,5", "12.5%", "12,5 %", "1,234%",
    "$1,234.50", "-$3", "12.50 €", "£ 7.25", "999999999999.995", "1234567890123.1", "0.005", "-1.005",
    "1735689600", "1735689600.5", "1735689600123", "-1", "0.1234567895", "123456789012",
]  # fmt: skip
WORDS = [
    "", " ", "true", "TRUE", "f", "Yes", "no", "on", "OFF", "tr", "null", "None", "\t1", "é", "١٢", "{}",
    '{"a": 1}', "[1,", "00000000-0000-0000-0000-000000000001", "{00000000-0000-0000-0000-000000000001}",
    "0000000000000000000000000000000A",
]  # fmt: skip
DATES = [
    "2024-02-29", "2023-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2024-13-01", "2024-1-5", "20240105",
    "2024-01-05 24:00:00", "2024-01-05 24:00:01", "2024-01-05 23:59:60", "2024-01-05T23:59:60.5Z",
    "2024-01-05 10:60", "2024-01-05 10:00:00.1234567", "2024-01-05 10:00:00.9999996",
    "2024-01-05T10:00:00+15:59", "2024-01-05T10:00:00-16", "2024-01-05T10:00:00.5+02:60",
    "2024-01-05T10:00:00Z", "2024-01-05T25:00:00", "31.12.2025", "12/31/2025", "1-2-2025", "2025/12/31",
    "2025.1.5", "30.02.2025", "31.12.2025 23:59", "1/2/2025 1:02:03.5 PM", "1/2/2025 12:00 AM", "Jan 5 2012",
    "january 5, 2012", "05-SEP-2012", "5 Sept 2012", "Jan 5 2012 10:30", "Feb 30 2012",
    "Jan 5 2012 10:30:59.1234 pm",
]  # fmt: skip
CASTS = {
    **{
        f"as_{type_.split()[0]}": f"try_cast('spelling', '{type_}')"
        for type_ in ("smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean", "date",
                      "timestamp", "timestamptz")
    },
    "utc": "try_cast_utc('spelling')",
    "day": "try_cast_day('spelling')",
    "amount": "try_cast_amount('spelling')",
    "decimal_comma": "try_cast_decimal_comma('spelling', 'numeric')",
    "decimal_comma_integer": "try_cast_decimal_comma('spelling', 'integer')",
    "thousands": "try_cast_thousands('spelling', 'numeric')",
    "percent": "try_cast_percent('spelling', 'numeric')",
    "currency": "try_cast_currency('spelling', 'numeric')",
    **{f"{order}_first": f"try_cast_written_date('spelling', 'date', '{order}_first')"
       for order in ("year", "day", "month")},
    "day_first_moment": "try_cast_written_date('spelling', 'timestamptz', 'day_first')",
    "named_month": "try_cast_named_month('spelling', 'date')",
    "named_month_moment": "try_cast_named_month('spelling', 'timestamptz')",
    "epoch": "try_cast_epoch('spelling', 'seconds')",
    "epoch_ms": "try_cast_epoch('spelling', 'milliseconds')",
}  # fmt: skip
MOMENT_CASTS = ("as_timestamp", "as_timestamptz", "utc", "epoch", "epoch_ms", "day_first_moment", "named_month_moment")
DAY_CASTS = ("as_date", "day", "year_first", "day_first", "month_first", "named_month")
# Numbers in place of moments, which can lie beyond Python's.
MICROSECONDS = {"PostgreSQL": "(extract(epoch from {}) * 1000000)::bigint", "DuckDB": "epoch_us({})"}


def query(engine: str) -> str:
    forms = dict.fromkeys(MOMENT_CASTS, MICROSECONDS[engine]) | dict.fromkeys(DAY_CASTS, "{} - date '2000-01-01'")
    values = ", ".join(forms.get(name, "{}").format(name) for name in CASTS)
    return f"select spelling, {values} from core.casts order by spelling"


def spellings(seed: int, count: int) -> list[str]:
    """Return the known spellings, and as many others that differ from them by a letter or three."""
    dice, known = random.Random(seed), [*MOMENTS, *NUMBERS, *WORDS, *DATES]
    found = set(known)
    while len(found) < len(known) + count:
        letters = list(dice.choice(known))
        for _ in range(dice.choice([1, 1, 2, 3])):
            at, letter = dice.randrange(len(letters) + 1), dice.choice("0123456789-+:.,/ TZePpMmAa%$€")
            letters[at : at + dice.randrange(2)] = dice.choice([[letter], [letter], []])
        found.add("".join(letters))
    return sorted(found)


def same(name: str, spelling: str, left: Any, right: Any) -> bool:
    if name == "as_numeric" and re.search(r"[eE][-+]?\d{5}", spelling):
        # To PostgreSQL a numeric has 16,383 digits behind its point at most, before it none where all are zeros.
        return True
    if left is None or right is None or name == "spelling":
        # DuckDB's numeric is decimal(38, 9): what does not fit is none.
        return left is right or left == right or (isinstance(left, Decimal) and abs(left) >= 10**29)
    if name == "as_real":
        return struct.pack("f", left) == struct.pack("f", right)
    if isinstance(left, Decimal):
        return abs(left - Decimal(str(right))) <= Decimal("5e-10")
    return bool(left == right and type(left) is type(right))


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("seed", "count"), [(1, 3000), pytest.param(2, 100_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_casts_agree(address: Address, connection: psycopg.Connection, tmp_path: Path, seed: int, count: int) -> None:
    given = spellings(seed, count)
    lines = [f"{{{{ {cast} }}}} as {name}" for name, cast in CASTS.items()]
    model = "{{ config(materialized='table') }}\nselect spelling,\n" + ",\n".join(lines) + "\nfrom public.spellings"
    write_scratch_project(tmp_path / "project", {"casts.sql": model})
    connection.execute('create table public.spellings (spelling text collate "C")')
    with connection.cursor() as cursor, cursor.copy("copy public.spellings from stdin") as copy:
        for spelling in given:
            copy.write_row([spelling])
    Dbt(address, tmp_path, tmp_path / "project").succeed("run")

    engine = DuckDB(tmp_path, tmp_path, tmp_path / "project")
    with duckdb.connect(engine.path) as file:
        file.execute(LEDGER.read_text())
        file.execute("create schema public; create table public.spellings (spelling text)")
        file.execute("insert into public.spellings select unnest(?)", [given])
    engine.build("run")
    differences = []
    for expected, actual in zip(
        connection.execute(query("PostgreSQL").encode()).fetchall(), engine.query(query("DuckDB")), strict=True
    ):
        for name, left, right in zip(["spelling", *CASTS], expected, actual, strict=True):
            if not same(name, expected[0], left, right):
                differences.append((expected[0], name, left, right))
    assert not differences, "\n".join(map(str, differences[:100]))
