"""Different SELECTs over the tables that are built, the same for the same tables and seed.

Three kinds: `bound` keeps the database busy for milliseconds each (ranges aggregated, joined, ranked), `scans` read a
whole table each, as a server does with parallel workers, and `lookups` are over at once, so that they measure the
client. All are ordered wholly and free of floating point: two runs give equal rows.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from bench.errors import ProjectError
from bench.many.connection import Payload

KINDS = ("bound", "scans", "lookups")
# A scan takes as long as so many of the others.
QUERIES_A_SCAN = 20
# Of a table's keys a query reads so many: some milliseconds of the server's time.
RANGE_KEYS = 4_000
GROUPINGS = (
    "city",
    "state",
    "country",
    "age",
    "is_married",
    "country, state",
    "age, is_married",
    "country, is_married",
)
MEASURES = (
    "count(*)", "sum(age)", "min(name)", "max(name)", "count(distinct name)", "avg(age)::numeric(9, 4)",
    "min(person_id)", "count(*) filter (where is_married)",
    "percentile_disc(0.5) within group (order by age)",
)  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """A source of chance, and the keys that a table has."""

    chance: random.Random
    least: int
    most: int

    def span(self) -> tuple[int, int]:
        """Return the first and last key of a range."""
        first = self.chance.randint(self.least, max(self.least, self.most - RANGE_KEYS + 1))
        return first, first + RANGE_KEYS - self.chance.randint(1, RANGE_KEYS // 4)

    def key(self) -> int:
        """Return one key."""
        return self.chance.randint(self.least, self.most)

    def limit(self) -> int:
        """Return how many rows to send: few, so that the database's work is most of a query's."""
        return self.chance.randint(1, 40)

    def some(self, names: tuple[str, ...], least: int = 1, most: int = 3) -> str:
        """Return some of the names, listed."""
        return ", ".join(self.chance.sample(names, self.chance.randint(least, min(most, len(names)))))


@dataclass(frozen=True)
class Template:
    """A family of SELECTs: its kind, the tables that it needs (keys come of the first), and how one is written."""

    kind: str
    tables: tuple[str, ...]
    key: str
    write: Callable[[Draw], Payload]


def groups(draw: Draw) -> Payload:
    """Group a range of persons."""
    by, (first, last), age = draw.chance.choice(GROUPINGS), draw.span(), draw.chance.randint(20, 60)
    text = (
        f"select {by}, {draw.some(MEASURES)} from core.people where person_id between {first} and {last} "
        f"and age > $1 group by {by} order by {by} limit {draw.limit()}"
    )
    return text, [age]


def namesakes(draw: Draw) -> Payload:
    """Join two ranges of persons by their names."""
    (first, last), other = draw.span(), draw.key()
    text = (
        f"select a.{(by := draw.chance.choice(('country', 'age', 'state')))}, count(*), min(b.person_id) "
        "from core.people as a inner join core.people as b on a.name = b.name and a.city = b.city "
        "where a.person_id between $1 and $2 and b.person_id between $3 and $4 and a.person_id <> b.person_id "
        f"group by a.{by} order by a.{by}"
    )
    return text, [first, last, other, other + RANGE_KEYS // 4]


def shares(draw: Draw) -> Payload:
    """Compare a range of persons with the mart of places."""
    first, last = draw.span()
    text = (
        f"select b.country, b.state, b.person_count, {draw.some(MEASURES)} from core.people as p "
        "inner join (select country as c, state as s, person_count, country, state from marts.people_by_place) as b "
        f"on p.country = b.c and p.state = b.s where p.person_id between {first} and {last} "
        f"group by b.country, b.state, b.person_count order by b.country, b.state limit {draw.limit()}"
    )
    return text, []


def ranks(draw: Draw) -> Payload:
    """Rank the ages of a range of persons by place."""
    by, (first, last), most = draw.chance.choice(("country", "state", "city")), draw.span(), draw.chance.randint(1, 5)
    text = (
        f"select {by}, age, persons from (select {by}, age, count(*) as persons, row_number() over (partition by {by} "
        f"order by count(*) desc, age) as place from core.people where person_id between {first} and {last} "
        f"group by {by}, age) as ranked where place <= $1 order by {by}, place limit {draw.limit()}"
    )
    return text, [most]


def scan(draw: Draw) -> Payload:
    """Group all persons."""
    by, age = draw.chance.choice(GROUPINGS), draw.chance.randint(20, 60)
    text = (
        f"select {by}, count(*), {draw.some(('sum(age)', 'min(person_id)', 'max(age)'))} from core.people "
        f"where age > $1 and person_id % {draw.chance.randint(2, 9)} = 0 group by {by} order by {by}"
    )
    return text, [age]


def person(draw: Draw) -> Payload:
    """Look one person up."""
    columns = draw.some(("name", "age", "city", "state", "country", "is_married"), 1, 6)
    return f"select person_id, {columns} from core.people where person_id = $1", [draw.key()]


def neighbours(draw: Draw) -> Payload:
    """Look a few persons up, and how many are older."""
    first = draw.key()
    text = (
        "select p.person_id, p.name, o.older_count from core.people as p inner join marts.people_older_than as o "
        f"using (age) where p.person_id between $1 and $2 order by p.person_id limit {draw.chance.randint(1, 9)}"
    )
    return text, [first, first + draw.chance.randint(0, 20)]


def sales(draw: Draw) -> Payload:
    """Group a range of sales."""
    by, (first, last) = draw.chance.choice(("branch_id", "payment_status", "removed")), draw.span()
    text = (
        f"select {by}, count(*), sum(total_value), count(distinct member_id) from core.gym_sales "
        f"where sale_id between {first} and {last} and total_value > $1 group by {by} order by {by}"
    )
    return text, [draw.chance.randint(0, 100)]


def trades(draw: Draw) -> Payload:
    """Group a range of the shop's trades."""
    by, (first, last) = draw.chance.choice(("item_sku", "item_id", "qty_change")), draw.span()
    text = (
        f"select {by}, count(*), sum(qty_change), sum(credit_change), count(distinct customer_id) "
        f"from core.shop_items_ledger where entry_id between {first} and {last} and customer_id <> $1 "
        f"group by {by} order by {by}"
    )
    return text, [draw.chance.randint(0, 1000)]


PEOPLE = "core.people"
TEMPLATES = (
    Template("bound", (PEOPLE,), "person_id", groups),
    Template("bound", (PEOPLE,), "person_id", namesakes),
    Template("bound", (PEOPLE, "marts.people_by_place"), "person_id", shares),
    Template("bound", (PEOPLE,), "person_id", ranks),
    Template("bound", ("core.gym_sales",), "sale_id", sales),
    Template("bound", ("core.shop_items_ledger",), "entry_id", trades),
    Template("scans", (PEOPLE,), "person_id", scan),
    Template("lookups", (PEOPLE,), "person_id", person),
    Template("lookups", (PEOPLE, "marts.people_older_than"), "person_id", neighbours),
)


def different_payloads(connection: psycopg.Connection, kind: str, count: int, seed: int) -> list[Payload]:
    """Return `count` payloads of one kind, no two of them equal; ProjectError where no table is there to ask."""
    chance = random.Random(f"{seed} {kind}")  # noqa: S311 - not a secret
    keys = ((template, _keys(connection, template)) for template in TEMPLATES if template.kind == kind)
    draws = [(template, Draw(chance, *some)) for template, some in keys if some]
    if not draws:
        raise ProjectError("Nothing to ask: core.people is not there, or is empty. Load, then run `dbt build`.")
    found: dict[str, Payload] = {}
    for attempt in range(100 * count):
        template, draw = draws[attempt % len(draws)]
        payload = template.write(draw)
        found[repr(payload)] = payload
        if len(found) == count:
            return list(found.values())
    raise ProjectError(
        f"core.people is too small for {count:,} different queries: load more, or pass a smaller --count."
    )


def _keys(connection: psycopg.Connection, template: Template) -> tuple[int, int] | None:
    """Return the least and the largest key, None where a table is missing or empty."""
    there = connection.execute(
        "select bool_and(to_regclass(t) is not null) from unnest(%s::text[]) as t", [[*template.tables]]
    )
    if there.fetchone() != (True,):
        return None
    row = connection.execute(f"select min({template.key}), max({template.key}) from {template.tables[0]}".encode())
    least, most = row.fetchone() or (None, None)
    return None if least is None else (least, most)
