"""Different SELECTs over core.people and the marts, the same for the same tables and seed.

Four kinds: `bound` keeps the database busy for milliseconds each (ranges aggregated, joined, ranked), `scans` read a
whole table each, as a server does with parallel workers, `lookups` are over at once, so that they measure the client,
and `function` returns ranges of rows, on which the client has work to do in Python. All are ordered wholly and free of
floating point: two runs give equal rows.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.errors import ProjectError
from bench.many.connection import Payload, QueryResult

KINDS = ("bound", "scans", "lookups", "function")
# Kinds whose queries take longer: for so many of the others there is one.
FEWER = {"scans": 20, "function": 10}
# Of a table's keys a query reads so many: some milliseconds of the server's time.
RANGE_KEYS = 4_000
COLUMNS = ("age", "city", "state", "country", "is_married")
# What {name} in a template may be; a list of columns or measures has one to three of them.
CHOICES: dict[str, tuple[str, ...]] = {
    "by": (*COLUMNS, "country, state", "age, is_married", "country, is_married"),
    "place": ("country", "state", "city"),
}
LISTS: dict[str, tuple[str, ...]] = {
    "columns": COLUMNS,
    "measures": (
        "count(*)", "sum(age)", "min(name)", "max(name)", "count(distinct name)", "avg(age)::numeric(9, 4)",
        "min(person_id)", "count(*) filter (where is_married)", "percentile_disc(0.5) within group (order by age)",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Template:
    """A family of SELECTs: its kind, its text, the names of its parameters."""

    kind: str
    text: str
    parameters: tuple[str, ...] = ()

    def draw(self, chance: random.Random, least: int, most: int) -> Payload:
        """Draw one SELECT and its parameters, over keys from least to most."""
        first = chance.randint(least, max(least, most - RANGE_KEYS + 1))
        numbers = {
            "first": first,
            "last": first + RANGE_KEYS - chance.randint(1, RANGE_KEYS // 4),
            "key": (key := chance.randint(least, most)),
            "near": key + chance.randint(0, 20),
            "far": key + RANGE_KEYS // 4,
            "age": chance.randint(20, 60),
            "small": chance.randint(1, 5),
            # Few rows, so that the database's work is most of a query's.
            "limit": chance.randint(1, 40),
        }
        words: dict[str, Any] = {name: chance.choice(some) for name, some in CHOICES.items()}
        words |= {name: ", ".join(chance.sample(some, chance.randint(1, 3))) for name, some in LISTS.items()}
        return self.text.format(**numbers, **words), [numbers[name] for name in self.parameters]


TEMPLATES = (
    Template(
        "bound",
        "select {by}, {measures} from core.people where person_id between {first} and {last} and age > $1 "
        "group by {by} order by {by} limit {limit}",
        ("age",),
    ),
    Template(
        "bound",
        "select a.{place}, count(*), min(b.person_id) from core.people as a "
        "inner join core.people as b on a.name = b.name and a.city = b.city "
        "where a.person_id between $1 and $2 and b.person_id between $3 and $4 and a.person_id <> b.person_id "
        "group by a.{place} order by a.{place}",
        ("first", "last", "key", "far"),
    ),
    Template(
        "bound",
        "select b.country, b.state, b.person_count, {measures} from core.people as p "
        "inner join (select country as c, state as s, person_count, country, state from marts.people_by_place) as b "
        "on p.country = b.c and p.state = b.s where p.person_id between {first} and {last} "
        "group by b.country, b.state, b.person_count order by b.country, b.state limit {limit}",
    ),
    Template(
        "bound",
        "select {place}, age, persons from (select {place}, age, count(*) as persons, row_number() over "
        "(partition by {place} order by count(*) desc, age) as place from core.people "
        "where person_id between {first} and {last} group by {place}, age) as ranked "
        "where place <= $1 order by {place}, place limit {limit}",
        ("small",),
    ),
    Template(
        "scans",
        "select {by}, count(*), sum(age), max(age) from core.people where age > $1 and person_id % {small} = 0 "
        "group by {by} order by {by} limit {limit}",
        ("age",),
    ),
    Template("lookups", "select person_id, name, {columns} from core.people where person_id = $1", ("key",)),
    Template(
        "lookups",
        "select p.person_id, p.name, o.older_count from core.people as p inner join marts.people_older_than as o "
        "using (age) where p.person_id between $1 and $2 order by p.person_id limit {limit}",
        ("key", "near"),
    ),
    Template(
        "function",
        "select name, {columns} from core.people where person_id between $1 and $2 order by person_id",
        ("first", "last"),
    ),
)


def common_words(result: QueryResult) -> list[tuple[str, int]]:
    """Count the words of all columns and return the ten most common: work in Python on a result's rows."""
    texts = (" ".join(map(str, row)).casefold() for row in result.rows)
    counts = Counter(word for text in texts for word in re.findall(r"\w+", text))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]


def different_payloads(connection: psycopg.Connection, kind: str, count: int, seed: int) -> list[Payload]:
    """Return `count` payloads of one kind, no two of them equal; ProjectError where core.people is not there."""
    chance = random.Random(f"{seed} {kind}")  # noqa: S311 - not a secret
    templates = [template for template in TEMPLATES if template.kind == kind]
    least, most = _keys(connection)
    if least is None or most is None:
        raise ProjectError("Nothing to read: core.people is not there, or is empty. Load, then run `dbt build`.")
    found: dict[str, Payload] = {}
    for attempt in range(100 * count):
        payload = templates[attempt % len(templates)].draw(chance, least, most)
        found[repr(payload)] = payload
        if len(found) == count:
            return list(found.values())
    raise ProjectError(
        f"core.people is too small for {count:,} different queries: load more, or pass a smaller --count."
    )


def _keys(connection: psycopg.Connection) -> tuple[int, int] | tuple[None, None]:
    """Return the least and the largest key of core.people, None where it is missing or empty."""
    if connection.execute("select to_regclass('core.people') is null").fetchone() == (True,):
        return None, None
    return connection.execute("select min(person_id), max(person_id) from core.people").fetchone() or (None, None)
