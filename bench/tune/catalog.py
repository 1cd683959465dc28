"""What the catalog knows of candidates: which table one means, and which indexes are there already."""

import difflib
from collections.abc import Iterable
from dataclasses import replace

import psycopg

from bench.errors import CandidateError
from bench.tune.candidates import Candidate, Table, propose
from bench.tune.plans import Plan

TABLES = """
    select n.nspname, c.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_|information_schema$)'
    order by n.nspname, c.relname
"""
ROOTS = """
    select n.nspname, c.relname, rn.nspname, r.relname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_class as r on pg_partition_root(c.oid) = r.oid
    inner join pg_namespace as rn on r.relnamespace = rn.oid
    where c.relispartition
"""
COLUMNS = """
    select n.nspname, c.relname, a.attname
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_attribute as a on c.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'm')
"""
INDEXES = """
    select
        n.nspname, c.relname,
        array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnatts) as k)
    from pg_index as i
    inner join pg_class as c on i.indrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where i.indpred is null and i.indisvalid
"""


def resolve(connection: psycopg.Connection, candidate: Candidate, read: frozenset[Table]) -> Candidate:
    """Return the candidate with its table's schema; where several have such a table, that which the queries read."""
    found = connection.execute(TABLES).fetchall()
    same = [table for table in found if table[1] == candidate.table and candidate.schema in ("", table[0])]
    wanted = [table for table in same if table in read] if len(same) > 1 else same
    if len(wanted) == 1:
        return replace(candidate, schema=wanted[0][0])
    if same:
        listed = ", ".join(f"{schema}.{table}" for schema, table in same)
        raise CandidateError(f"{candidate.name}: there are {listed}. Write which one, with its schema.")
    near = difflib.get_close_matches(candidate.table, [table for _, table in found], n=3)
    listed = ", ".join(dict.fromkeys(near)) or ", ".join(sorted(f"{one[0]}.{one[1]}" for one in read))
    raise CandidateError(
        f"{candidate.name}: there is no such table. Name one that the queries read, such as: {listed}."
    )


def whole_tables(connection: psycopg.Connection, plan: Plan) -> frozenset[Table]:
    """Return the tables that a plan reads, the partitioned table in the place of its partitions."""
    roots = _roots(connection)
    return frozenset(roots.get(table, table) for table in plan.tables)


def proposals(connection: psycopg.Connection, plans: Iterable[Plan]) -> list[Candidate]:
    """Return what the plans suggest, without what an index of the table already begins with."""
    roots = _roots(connection)
    columns: dict[Table, list[str]] = {}
    for schema, table, column in connection.execute(COLUMNS):
        columns.setdefault((schema, table), []).append(column)
    known = {
        (schema, table, ", ".join(keys[:some]))
        for schema, table, keys in connection.execute(INDEXES)
        for some in range(1, len(keys) + 1)
    }
    proposed: dict[Candidate, None] = {}
    for candidate in (one for plan in plans for one in propose(plan, columns)):
        schema, table = roots.get((candidate.schema, candidate.table), (candidate.schema, candidate.table))
        # Plain ones only: an index that covers is another one than its key's.
        if (schema, table, candidate.definition[1:-1]) not in known:
            proposed[Candidate(schema, table, candidate.definition)] = None
    return list(proposed)


def _roots(connection: psycopg.Connection) -> dict[Table, Table]:
    """Return the partitioned table of every partition."""
    return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(ROOTS)}
