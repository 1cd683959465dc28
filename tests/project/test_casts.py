"""Casts read text alike in every session, whatever its TimeZone, DateStyle and IntervalStyle."""

from itertools import product
from pathlib import Path

import psycopg
import pytest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address
from tests.project.conftest import Dbt
from tests.project.spellings import SPELLINGS

# What each type makes of the ones that it reads, as UTC.
MOMENTS = {
    "2026-01-11": "2026-01-11 00:00:00",
    "2026-01-11 04:05": "2026-01-11 04:05:00",
    "2026-01-11T04:05:06": "2026-01-11 04:05:06",
    "2026-01-11 04:05:06.789": "2026-01-11 04:05:06.789",
    "2026-01-11T04:05:06Z": "2026-01-11 04:05:06",
    "2026-01-11 04:05:06+02": "2026-01-11 02:05:06",
    "2026-01-11T04:05:06-03:30": "2026-01-11 07:35:06",
    "2026-01-11 04:05+0200": "2026-01-11 02:05:00",
    "2026-07-11T04:05:06 Z": "2026-07-11 04:05:06",
}
CASTS = """
{{ config(materialized='view') }}
select
    spelling,
    {{ try_cast('spelling', 'timestamptz') }} as moment,
    {{ try_cast_utc('spelling') }} as moment_utc,
    {{ try_cast('spelling', 'timestamp') }} as local_moment,
    {{ try_cast('spelling', 'date') }} as day,
    {{ try_cast_day('spelling') }} as day_of_feed
from public.spellings
"""
SESSIONS = product(
    ["UTC", "Asia/Tokyo", "America/St_Johns"],
    ["ISO, MDY", "ISO, DMY", "SQL, DMY", "German, YMD"],
    ["postgres", "iso_8601"],
)


@pytest.fixture
def casts(address: Address, connection: psycopg.Connection, ledger: None, tmp_path: Path) -> psycopg.Connection:
    """A database with core.casts, a view over public.spellings."""
    connection.execute("create table public.spellings (spelling text)")
    with connection.cursor() as cursor:
        cursor.executemany("insert into public.spellings values (%s)", [[spelling] for spelling in SPELLINGS])
    write_scratch_project(tmp_path, {"casts.sql": CASTS})
    Dbt(address, tmp_path, tmp_path).succeed("run")
    return connection


def test_no_cast_depends_on_the_session(casts: psycopg.Connection) -> None:
    answers = []
    for zone, date_style, interval_style in SESSIONS:
        for name, value in (("TimeZone", zone), ("DateStyle", date_style), ("IntervalStyle", interval_style)):
            casts.execute("select set_config(%s, %s, false)", [name, value])
        answers.append(
            casts.execute(
                "select spelling, extract(epoch from moment), extract(epoch from moment_utc), "
                "extract(epoch from local_moment), day - date '2000-01-01', day_of_feed - date '2000-01-01' "
                "from core.casts order by 1"
            ).fetchall()
        )
    assert [answer for answer in answers if answer != answers[0]] == []


def test_a_moment_is_iso_8601_and_utc_without_an_offset(casts: psycopg.Connection) -> None:
    casts.execute("set timezone = 'Asia/Tokyo'")
    for column in ("moment", "moment_utc"):
        read = casts.execute(
            f"select spelling, ({column} at time zone 'UTC')::text from core.casts where {column} is not null"
        ).fetchall()
        assert dict(read) == MOMENTS, column
