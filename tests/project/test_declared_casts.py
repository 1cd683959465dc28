"""The casts of declared sources: DuckDB's predicates against PostgreSQL's macros, whatever the session says."""

import json
import random
import re

import duckdb
import pytest

from loaders.declare.casts import CASTS, EPOCHS, Cast
from tests.project.conftest import Dbt

CASTS_BY_MACRO = [*EPOCHS, *CASTS]
SPELLINGS = (
    """
0|7|-7|+7|007|1073741824|2147483648|9223372036854775808|12345678901234567890123|1.5|-.5|1.|1e3|1E-400
1e999|0x1F|1_000|1,5|1,234|1.234|1,234.5|1.234,5|1.234.567,89|1,234,567|12,34,567|1 234,5| 7 |7 |NaN|inf
12.5%|12,5 %|1,234%|%|$5|$1,234.50|-$5|$-5|-$-5|£ 7|7 €|$|true|TRUE|f|Yes|n|on|1|2024-02-29|2023-02-29
2024-2-9|2024-02-29 10:30|2024-02-29T10:30:15.123Z|2024-02-29 10:30:15+02|2024-02-29 10:30:15 -0330
2024-02-29 24:00|2024-02-29 23:60|2024-02-29 10|2024-02-30 10:00|2024-02-29T10:30:15+02:00
2024-02-29 10:30 PST|2024/02/29|2024.02.29|2024/2/9 01:02|2024/02/29 01:02:03|2024/02/30|24/02/29
31.12.2025|12/31/2025|1-2-2025|30.02.2025|31.12.2025 23:59|12/31/2025 11:59 PM|12/31/2025 13:00 PM
12/31/2025 0:30am|1.2.25|Jan 5 2012|january 5, 2012|5-Jan-2012|Sept 5 2012|Febr 5 2012|Feb 30 2012
5 May 2012 10:00|Mon 5 2012|Jan 5 12|now|today|epoch|infinity|1735689600|1735689600123|946684799|-5
9999999999|550e8400-e29b-41d4-a716-446655440000|550E8400E29B41D4A716446655440000
{550e8400-e29b-41d4-a716-446655440000}|text|+491701234567|0001-01-01|9999-12-31|00.5
    """.replace("\n", "|")
    .strip("| ")
    .split("|")
)


def _mutations(count: int) -> list[str]:
    """Return spellings with a character dropped, doubled or changed: what nobody thought of."""
    chance, made = random.Random(1), []
    for _ in range(count):
        text = chance.choice(SPELLINGS)
        place = chance.randrange(len(text) + 1)
        made.append(
            text[:place]
            + chance.choice(["", " ", ",", ".", "-", "/", "0", "9", ":"])
            + text[place + chance.randrange(2) :]
        )
    return [text for text in dict.fromkeys(made) if text]


def _name(cast: Cast) -> str:
    return f"{cast.data_type}/{cast.cast or ''}"


def _kept_by_postgresql(dbt: Dbt, spellings: list[str]) -> set[tuple[str, str]]:
    literals = ", ".join("('" + text.replace("'", "''") + "')" for text in spellings)
    queries = [
        f"select '{_name(cast)}' as cast_name, v from (values {literals}) as texts (v) "
        f"where ({{{{ declared_cast('v', '{cast.data_type}', {cast.cast!r}) }}}}) is not null"
        for cast in CASTS_BY_MACRO
    ]
    inline = " union all ".join(queries).replace("None)", "none)")
    said = dbt.succeed("show", "--inline", inline, "--limit", "-1", "--output", "json")
    found, _ = json.JSONDecoder().raw_decode(said, said.index('{\n  "'))
    return {(row["cast_name"], str(row["v"])) for row in found["show"]}


def _kept_by_duckdb(cast: Cast, spellings: list[str]) -> set[str]:
    with duckdb.connect() as connection:
        connection.execute("create table texts (v varchar)")
        connection.executemany("insert into texts values (?)", [[text] for text in spellings])
        return {row[0] for row in connection.execute(f"select v from texts where {cast.keeps}").fetchall()}


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("session", ["", "-c datestyle=SQL,DMY -c timezone=Asia/Tokyo -c intervalstyle=iso_8601"])
def test_what_declare_expects_is_what_the_casts_keep(
    unparsed_dbt: Dbt, monkeypatch: pytest.MonkeyPatch, session: str
) -> None:
    monkeypatch.setenv("PGOPTIONS", session)
    spellings = [*SPELLINGS, *_mutations(600)]
    kept = _kept_by_postgresql(unparsed_dbt, spellings)
    for cast in CASTS_BY_MACRO:
        expected, actual = _kept_by_duckdb(cast, spellings), {v for name, v in kept if name == _name(cast)}
        assert expected, cast
        assert expected <= actual, (_name(cast), sorted(expected - actual))
        # Numbers with leading zeros are kept by the casts, but nothing is declared for their sake.
        if cast.cast and cast.data_type in ("date", "timestamptz") and cast not in EPOCHS:
            assert expected == actual, (_name(cast), sorted(actual - expected))


@pytest.mark.usefixtures("ledger")
def test_a_cast_in_another_session_reads_the_same(unparsed_dbt: Dbt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c datestyle=SQL,DMY -c timezone=Asia/Tokyo")
    cast = "declared_cast(\"'12/31/2025 10:00'\", 'timestamptz', 'month_first')"
    inline = f"select ({{{{ {cast} }}}}) = '2025-12-31 10:00+00' as same"
    assert re.search(r'"same": true', unparsed_dbt.succeed("show", "--inline", inline, "--output", "json"))
