"""Citus: raw tables spread over the nodes of a cluster, where the database has the extension.

The ledger stays on the coordinator, and its last commit makes a load visible: there is no snapshot across nodes, so the
load's rows are counted on all of them before it.
"""

import time
from collections.abc import Mapping

import psycopg
from psycopg import errors, sql

from loaders.errors import LoadError, SettingError

# A commit that a node missed is made good by Citus, after citus.recover_2pc_interval (60 s by default).
COUNT_SECONDS = 150.0
COUNT_PAUSE_SECONDS = 0.5


def is_cluster(connection: psycopg.Connection) -> bool:
    """Tell whether the database is a cluster's; SettingError at one of its workers."""
    if connection.execute("select from pg_extension where extname = 'citus'").fetchone() is None:
        return False
    if connection.execute("select citus_is_coordinator()").fetchone() != (True,):
        raise SettingError("This node is a worker of a Citus cluster. Set PGHOST and PGPORT to the coordinator.")
    return True


def table_bytes(connection: psycopg.Connection, relation: str) -> str:
    """Return the SQL for the size of a table, its TOAST included, on all nodes; `relation` is SQL for its oid."""
    if not is_cluster(connection):
        return f"pg_table_size({relation})"
    return (
        f"case when exists (select from pg_dist_partition where logicalrelid = {relation}) "
        f"then citus_table_size({relation}) else pg_table_size({relation}) end"
    )


def wait_for_rows(connection: psycopg.Connection, table: sql.Identifier, load_id: int, rows: Mapping[int, int]) -> None:
    """Wait until every node shows the rows of a load, given by file; LoadError if they do not come.

    A node that crashes between the two commits of a COPY shows its part only when Citus has recovered it, though the
    client was told that the COPY succeeded.
    """
    give_up_at = time.monotonic() + COUNT_SECONDS
    while True:
        counted: dict[int, int] = dict(
            connection.execute(
                sql.SQL("select _file_id, count(*) from {} where _load_id = %s group by _file_id").format(table),
                [load_id],
            ).fetchall()
        )
        missing = {file_id: number for file_id, number in rows.items() if counted.get(file_id, 0) != number}
        if not missing:
            return
        if time.monotonic() >= give_up_at:
            file_id, number = min(missing.items())
            raise LoadError(
                f"load {load_id}: of file {file_id}, {number:,} records were sent, and the nodes show "
                f"{counted.get(file_id, 0):,} of them after {COUNT_SECONDS:.0f} s. See that every node is up (`select "
                "* from citus_check_cluster_node_health()`), then load again."
            )
        time.sleep(COUNT_PAUSE_SECONDS)


def wait_for_commits(connection: psycopg.Connection, *, seconds: float) -> None:
    """Wait until no node of a cluster holds a transaction that Citus had prepared before now.

    After a crash, Citus commits them or rolls them back: until then nobody sees their rows, and a DELETE misses them.
    LoadError if one is there after `seconds`; a connection's error, which is tried again, if a node does not answer.
    """
    if not is_cluster(connection):
        return
    give_up_at = time.monotonic() + seconds
    before: set[str] | None = None
    while True:
        answers = connection.execute(
            "select success, result from run_command_on_all_nodes($$ select coalesce(string_agg(gid, ' '), '') "
            "from pg_prepared_xacts where database = current_database() and gid like 'citus\\_%' $$)"
        ).fetchall()
        are_up = all(is_up for is_up, _ in answers)
        if are_up:
            prepared = {gid for _, result in answers for gid in result.split()}
            before = prepared if before is None else before & prepared
            if not before:
                return
        if time.monotonic() >= give_up_at:
            if not are_up:
                raise errors.ConnectionFailure("a node of the cluster does not answer")
            raise LoadError(
                f"A node still holds what was prepared {seconds:.0f} s ago. See that every node is up (`select * from "
                "citus_check_cluster_node_health()`), then load again."
            )
        time.sleep(COUNT_PAUSE_SECONDS)
