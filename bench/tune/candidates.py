"""Candidates for an index: as a user writes them, as a plan suggests them, and the sets that are ready."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.errors import CandidateError
from bench.tune.plans import Node, Plan, nodes

IDENTIFIER = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
WRITTEN = re.compile(
    rf"\s*(?:({IDENTIFIER})\s*\.\s*)?({IDENTIFIER})\s*((?:using\s+\w+\s*)?\(.+)", re.IGNORECASE | re.DOTALL
)
COLUMN = re.compile(rf"({IDENTIFIER})\.({IDENTIFIER})")
LITERAL = re.compile(r"'(?:[^']|'')*'")
# What may stand between a column and the sign in EXPLAIN's words: `((p.state)::text = `.
EQUALS = re.compile(r"\)?(?:::[\w ]+)?\)? = ")
FILTERS = ("Filter", "Index Cond", "Recheck Cond")
JOINS = ("Hash Cond", "Merge Cond", "Join Filter")
ORDERS = ("Sort Key", "Group Key")
# Wider indexes cost their writers more than a question is usually worth.
KEY_COLUMNS = 3
COVERED_COLUMNS = 4

Table = tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """An index that may help: its table (schema empty where it was not said) and what follows the table's name."""

    schema: str
    table: str
    definition: str

    @property
    def name(self) -> str:
        """The candidate as one writes it after CREATE INDEX ON."""
        return f"{'.'.join(_quoted(part) for part in (self.schema, self.table) if part)} {self.definition}"


@dataclass(frozen=True)
class CandidateSet:
    """Candidates that are ready, and how the names of the benchmark queries that they are for begin and end."""

    prefix: str
    suffix: str
    written: tuple[str, ...]


# The shop's own trials, as it published them (most changed nothing), and a covering index.
SETS = {
    "shop": CandidateSet(
        "shop_",
        "_ledger",
        (
            "shop_items_plan (id, sku, type)",
            "shop_mods_plan (id, sku)",
            "shop_items_ledger (item_id)",
            # With all that the sums need, so that the table itself need not be read.
            "shop_items_ledger (item_id) include (qty_change)",
            "shop_items_ledger (qty_change)",
            "shop_items_ledger (credit_change)",
            "shop_mods_ledger (qty_change)",
        ),
    )
}


def read_candidate(written: str) -> Candidate:
    """Read `[schema.]table [using method] (columns) ...`; CandidateError shows the form."""
    found = WRITTEN.fullmatch(written.strip())
    if found is None:
        raise CandidateError(
            f'The candidate {written!r} cannot be read. Write it as after CREATE INDEX ON: --index "people (age)", '
            '"core.people using brin (person_id)" or "people (age) include (city) where is_married".'
        )
    schema, table, definition = found.groups()
    return Candidate(_folded(schema or ""), _folded(table), " ".join(definition.split()))


def propose(plan: Plan, columns: Mapping[Table, Collection[str]]) -> list[Candidate]:
    """Return what a plan's filters, joins and sort keys suggest, each table's columns alone and together.

    `plan` is of EXPLAIN VERBOSE, whose expressions name every column with its table's alias. `columns` has the columns
    of each table. Covering candidates are added where the query needs few columns: they allow index-only scans.
    """
    tables = {access.alias: (access.schema, access.relation) for access in plan.accesses}
    keys: dict[Table, list[tuple[str, ...]]] = {}
    for node in nodes(plan.root):
        for alias, key in (*_filter_keys(node), *_join_keys(node), *_order_keys(node)):
            if alias in tables and set(key) <= set(columns.get(tables[alias], ())):
                keys.setdefault(tables[alias], []).append(key)
    needed: dict[Table, dict[str, None]] = {}
    for alias, column in _needed(plan):
        if alias in tables and column in columns.get(tables[alias], ()):
            needed.setdefault(tables[alias], {})[column] = None
    found: dict[Candidate, None] = {}
    for table, some in keys.items():
        for key in dict.fromkeys(some):
            found[Candidate(*table, _listed(key))] = None
            rest = [column for column in needed[table] if column not in key]
            if rest and len(key) + len(rest) <= COVERED_COLUMNS:
                found[Candidate(*table, f"{_listed(key)} include {_listed(rest)}")] = None
    return list(found)


def _filter_keys(node: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each filtered column, and all of a table's together, those compared by equality first."""
    equal: dict[str, list[str]] = {}
    other: dict[str, list[str]] = {}
    if "Relation Name" not in node:
        return  # a filter on what was joined or aggregated
    for condition in FILTERS:
        text = LITERAL.sub("''", node.get(condition, ""))
        for found in COLUMN.finditer(text):
            some = equal if EQUALS.match(text, found.end()) else other
            some.setdefault(_folded(found[1]), []).append(_folded(found[2]))
    for alias in dict.fromkeys([*equal, *other]):
        key = tuple(dict.fromkeys([*equal.get(alias, ()), *other.get(alias, ())]))[:KEY_COLUMNS]
        yield from ((alias, (column,)) for column in key)
        if len(key) > 1:
            yield alias, key


def _join_keys(node: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each joined column."""
    for condition in JOINS:
        yield from ((alias, (column,)) for alias, column in _columns(node.get(condition, "")))


def _order_keys(node: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the columns by which is sorted or grouped, up to the first that is an expression or another table's."""
    for order in ORDERS:
        key: list[tuple[str, str]] = []
        for written in node.get(order, ()):
            found = COLUMN.match(written)
            if found is None or (key and _folded(found[1]) != key[0][0]):
                break
            key.append((_folded(found[1]), _folded(found[2])))
        if key:
            yield key[0][0], tuple(column for _, column in key[:KEY_COLUMNS])


def _needed(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield the columns that the query needs; a scan below other nodes may list all that its table has."""
    aliases = {access.alias for access in plan.accesses}
    for node in nodes(plan.root):
        for written in (*FILTERS, *JOINS):
            yield from _columns(node.get(written, ""))
        for order in ORDERS:
            yield from (column for text in node.get(order, ()) for column in _columns(text))
        if node is plan.root or "Relation Name" not in node:
            for text in node.get("Output", ()):
                yield from _columns(text)
                if len(aliases) == 1:  # then EXPLAIN leaves the alias out here
                    yield from ((next(iter(aliases)), _folded(one)) for one in re.findall(IDENTIFIER, text))


def _columns(text: str) -> list[tuple[str, str]]:
    """Return the alias and name of every column in an expression."""
    return [(_folded(found[1]), _folded(found[2])) for found in COLUMN.finditer(LITERAL.sub("''", text))]


def _listed(columns: Sequence[str]) -> str:
    return f"({', '.join(map(_quoted, columns))})"


def _quoted(name: str) -> str:
    """Return a name of the catalog as SQL has it, in quotes where it may need them."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _folded(identifier: str) -> str:
    """Return an identifier as the catalog has it."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier.lower()
