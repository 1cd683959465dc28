"""The ledger's tables: created, checked for their version, and upgraded from an older one.

Version 1 knew a raw table by its name only, and a raw table was one heap. The upgrade is one transaction: the heap
becomes the first segment of a table of its old name, and the views that read the heap read the table. Version 2 knew
no pruned loads.
"""

from pathlib import Path

import psycopg
from psycopg import sql

from loaders.errors import LoadError
from loaders.locks import LOCK_TABLE, change_tables, exclusive_ddl
from loaders.raw_table import RawTable
from loaders.segments import segment_name

VERSION = 3
SCHEMA = Path(__file__).with_name("ledger.sql")
UPGRADE_TO_2 = Path(__file__).with_name("ledger_upgrade_2.sql")
UPGRADE_TO_3 = Path(__file__).with_name("ledger_upgrade_3.sql")
# How long the upgrade waits for readers to let go of the tables that it changes.
UPGRADE_SECONDS = 600.0

# What makes a table of the heap's owner, grants and comment, a statement a row.
GRANTS = """
with heap as (
    select pg_class.oid, format('%%I.%%I', nspname, relname) as name, relowner, relacl
    from pg_class
    inner join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = %s and relname = %s
),

granted as (
    select acl.*, '' as columns from heap cross join lateral aclexplode(relacl) as acl
    union all
    select acl.*, format('(%%I)', attname)
    from heap
    inner join pg_attribute on attrelid = heap.oid and not attisdropped
    cross join lateral aclexplode(attacl) as acl
)

select format('alter table %%s owner to %%I', name, pg_get_userbyid(relowner)) from heap
union all
select format(
    'grant %%s %%s on %%s to %%s%%s', privilege_type, columns, name,
    case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
    case when is_grantable then ' with grant option' else '' end
)
from granted
cross join heap
where grantee <> relowner
union all
select format('comment on table %%s is %%L', name, obj_description(oid, 'pg_class'))
from heap
where obj_description(oid, 'pg_class') is not null
"""

# The views that read heaps, and what makes each read the tables of their names instead.
VIEWS = """
select distinct nspname, relname, relkind, format(
    'create or replace view %%I.%%I %%s as %%s', nspname, relname,
    'with (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(pg_class.oid)
)
from unnest(%s::text[], %s::text[]) as heap (schema, name)
inner join pg_depend on refobjid = to_regclass(format('%%I.%%I', heap.schema, heap.name))
inner join pg_rewrite on pg_rewrite.oid = objid
inner join pg_class on pg_class.oid = ev_class
inner join pg_namespace on pg_namespace.oid = relnamespace
where classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
order by nspname, relname
"""


def ledger_version(connection: psycopg.Connection) -> int | None:
    """Return the version of the ledger's tables, None if there are none."""
    rows = connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace('ops') "
        "and relname in ('loads', 'ledger_version')"
    )
    names = {row[0] for row in rows}
    if "ledger_version" not in names:
        return 1 if names else None
    version = connection.execute("select version from ops.ledger_version").fetchone()
    return None if version is None else int(version[0])


def create_ledger(connection: psycopg.Connection) -> None:
    """Create the ledger where it is missing, and upgrade an older one; LoadError for a newer one."""
    version = ledger_version(connection)
    if version is None:
        with exclusive_ddl(connection):
            if ledger_version(connection) is None:
                connection.execute(SCHEMA.read_bytes())
    elif version < VERSION:
        _upgrade(connection, version)
    check_version(connection)


def check_version(connection: psycopg.Connection) -> bool:
    """Tell whether there is a ledger; LoadError if it is not of this version."""
    version = ledger_version(connection)
    if version is not None and version > VERSION:
        raise LoadError(f"The ledger is of version {version}, this loader of {VERSION}: update the project.")
    if version is not None and version < VERSION:
        raise LoadError(
            f"The ledger is of version {version}, this loader of {VERSION}: `python -m loaders load` upgrades it."
        )
    return version is not None


def _upgrade(connection: psycopg.Connection, version: int) -> None:
    heaps = _heaps(connection) if version == 1 else []
    # In the order in which a reader locks them.
    names = [sql.Identifier(schema, name) for schema, name, _ in _views(connection, heaps)]
    names += [table.identifier for table in heaps]
    names += [sql.Identifier("ops", name) for name in ("loads", "files", "rejected_rows", "applied_loads")]

    def upgrade() -> None:
        if ledger_version(connection) != version:
            return  # another loader was faster
        if version == 1:
            _upgrade_from_1(connection, heaps)
        connection.execute(SCHEMA.read_bytes())
        connection.execute(UPGRADE_TO_3.read_bytes())

    if not change_tables(connection, sql.SQL(", ").join(names), upgrade, seconds=UPGRADE_SECONDS):
        raise LoadError(
            f"The ledger could not be upgraded: for {UPGRADE_SECONDS / 60:.0f} minutes others were reading its tables "
            "or the raw ones. End the sessions that hold them (pg_stat_activity), then load again."
        )


def _upgrade_from_1(connection: psycopg.Connection, heaps: list[RawTable]) -> None:
    _check_no_loader_runs(connection, heaps)
    # So that the views' definitions have every name in them qualified.
    connection.execute("set local search_path = ''")
    views = _views(connection, heaps)
    connection.execute(UPGRADE_TO_2.read_bytes())
    connection.execute(SCHEMA.read_bytes())
    for number, table in enumerate(heaps):
        _set_schema_of_loads(connection, table, heaps)
        _heap_to_segment(connection, table, segment_name(table, number))
    for _, _, statement in views:
        connection.execute(statement.encode())
    # Of tables that are gone.
    connection.execute("update ops.loads set table_schema = 'staging' where table_schema is null")
    connection.execute(
        "update ops.files set table_schema = loads.table_schema from ops.loads where files.load_id = loads.load_id"
    )
    for name in ("loads", "files"):
        connection.execute(sql.SQL("alter table ops.{} alter table_schema set not null").format(sql.Identifier(name)))


def _heaps(connection: psycopg.Connection) -> list[RawTable]:
    """Return the raw tables of version 1: the heaps that begin with lineage and have a BRIN index."""
    rows = connection.execute(
        """
        select nspname, relname
        from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where relkind = 'r'
            and exists (select from pg_attribute where attrelid = pg_class.oid and attnum = 1 and attname = '_load_id')
            and exists (select from pg_attribute where attrelid = pg_class.oid and attnum = 2 and attname = '_file_id')
            and exists (
                select from pg_index
                inner join pg_class as indexes on indexes.oid = indexrelid
                inner join pg_am on pg_am.oid = indexes.relam
                where indrelid = pg_class.oid and amname = 'brin'
            )
        order by nspname <> 'staging', nspname, relname
        """
    )
    return [RawTable(schema=schema, name=name) for schema, name in rows]


def _views(connection: psycopg.Connection, heaps: list[RawTable]) -> list[tuple[str, str, str]]:
    """Return schema, name and new definition of the views that read the heaps; LoadError for a materialized one."""
    names = [[table.schema for table in heaps], [table.name for table in heaps]]
    rows = connection.execute(VIEWS, names).fetchall()
    for schema, name, kind, _ in rows:
        if kind != "v":
            raise LoadError(
                f"{schema}.{name} reads a raw table, and cannot be redefined while the ledger is upgraded. Drop it, "
                "load, then create it again."
            )
    return [(schema, name, statement) for schema, name, _, statement in rows]


def _check_no_loader_runs(connection: psycopg.Connection, heaps: list[RawTable]) -> None:
    """LoadError if a loader of version 1 is at work: it would go on by tables that are no more."""
    for table in heaps:
        row = connection.execute(
            "select pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_TABLE, str(table)]
        ).fetchone()
        if row != (True,):
            raise LoadError(f"{table}: an older loader is at work on it. Wait for it to end, then load again.")


def _set_schema_of_loads(connection: psycopg.Connection, table: RawTable, heaps: list[RawTable]) -> None:
    """Say of loads which schema their table is in: where two have one name, by where the rows are."""
    has_twin = sum(other.name == table.name for other in heaps) > 1
    rows_are_here = sql.SQL(" and exists (select from {} where _load_id = load_id)").format(table.identifier)
    statement = sql.SQL("update ops.loads set table_schema = %s where table_name = %s and table_schema is null{}")
    connection.execute(statement.format(rows_are_here if has_twin else sql.SQL("")), [table.schema, table.name])


def _heap_to_segment(connection: psycopg.Connection, table: RawTable, relation: str) -> None:
    """Rename the heap and attach it to a new table of its name, which takes over its owner, grants and comment."""
    key = [table.schema, table.name]
    grants = connection.execute(GRANTS, key).fetchall()
    heap = sql.Identifier(table.schema, relation)
    first = _first_block(connection)
    connection.execute(sql.SQL("alter table {} set logged").format(table.identifier))
    connection.execute(sql.SQL("alter table {} rename to {}").format(table.identifier, sql.Identifier(relation)))
    connection.execute(
        sql.SQL("create table {} (like {} including all excluding indexes) partition by range (_load_id)").format(
            table.identifier, heap
        )
    )
    # Every id of version 1 is below the first block of version 2.
    connection.execute(
        sql.SQL("alter table {} attach partition {} for values from (minvalue) to ({})").format(
            table.identifier, heap, sql.Literal(first)
        )
    )
    for (statement,) in grants:
        connection.execute(statement.encode())
    # It takes no more loads: its ids are used up.
    connection.execute(
        """
        insert into ops.segments (table_schema, table_name, first_load_id, end_load_id, relation_name, next_load_id)
        values (%s, %s, 1, %s, %s, %s)
        """,
        [*key, first, relation, first],
    )


def _first_block(connection: psycopg.Connection) -> int:
    row = connection.execute("select seqstart from pg_sequence where seqrelid = 'ops.load_blocks'::regclass").fetchone()
    assert row is not None  # noqa: S101 - the upgrade has created it
    return int(row[0])
