"""A local Citus cluster: a coordinator and workers, each a local server, on loopback ports one after another."""

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from psycopg import sql

from loaders.connection import Address, connect
from loaders.errors import ServerError
from loaders.server import SUPERUSER, SUPERUSER_PASSWORD_FILE, LocalServer
from loaders.server_settings import Setting

COORDINATOR, WORKER = "coordinator", "worker-"
# Two shards a core of a small machine: each shard that a COPY touches costs two commits.
SHARDS_PER_WORKER = 4


class LocalCluster:
    """A coordinator at `address` and workers at the ports after it, their data in folders of `data`."""

    def __init__(self, data: Path, address: Address) -> None:
        self.data = data.absolute()
        self.address = address

    def up(self, workers: int) -> str:
        """Create what is missing of the cluster, and start it; return what was done.

        A cluster that is there keeps its number of workers and its ports.
        """
        made = len(self._folders()) - 1
        if made > 0 and made != workers:
            raise ServerError(
                f"{self.data} holds a cluster of {made} workers, not {workers}. Use `--workers {made}`, or remove it "
                "with `python -m loaders cluster down --remove-data`."
            )
        folders = [self.data / COORDINATOR, *(self.data / f"{WORKER}{number}" for number in range(1, workers + 1))]
        self.data.mkdir(parents=True, exist_ok=True)
        nodes = self._nodes(folders, self._superuser_password())
        for node in nodes:
            try:
                node.up()
            except ServerError as error:
                if "citus" not in str(error):
                    raise
                raise ServerError(
                    f"{error} These PostgreSQL programs have no Citus: set PG_BIN to the folder of ones that have it."
                ) from error
            self._prepare(node)
        self._join(nodes)
        return f"up: {self.address.url}, {workers} workers on ports {', '.join(str(n.address.port) for n in nodes[1:])}"

    def down(self) -> str:
        """Stop every node; return what was done."""
        nodes = self._nodes(self._folders())
        return "stopped" if "stopped" in [node.down() for node in nodes] else "not running"

    def remove(self) -> None:
        """Stop the cluster and delete its data."""
        for node in self._nodes(self._folders()):
            node.remove()
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def coordinator(self) -> LocalServer:
        """The node that holds the ledger, and that loaders and dbt connect to."""
        return self._nodes(self._folders())[0]

    @property
    def workers(self) -> list[LocalServer]:
        """The nodes that hold the shards."""
        return self._nodes(self._folders())[1:]

    def _superuser_password(self) -> str:
        """Return the one password of all nodes, a new one where there is no coordinator yet."""
        file = self.data / COORDINATOR / SUPERUSER_PASSWORD_FILE
        return file.read_text().strip() if file.exists() else secrets.token_urlsafe(32)

    def _folders(self) -> list[Path]:
        workers = sorted(self.data.glob(f"{WORKER}*"), key=lambda path: int(path.name.removeprefix(WORKER)))
        return [self.data / COORDINATOR, *workers]

    def _nodes(self, folders: Sequence[Path], password: str | None = None) -> list[LocalServer]:
        return [
            LocalServer(
                folder,
                replace(self.address, port=self.address.port + number),
                settings=_settings(len(folders) - 1),
                memory_share=1 / len(folders),
                superuser_password=password,
            )
            for number, folder in enumerate(folders)
        ]

    def _prepare(self, node: LocalServer) -> None:
        """Create the extension, and tell the node the passwords by which it enters the others."""
        superuser = node.superuser_address
        passwords = {SUPERUSER: superuser.password, self.address.user: self.address.password}
        with connect(replace(superuser, database=self.address.database)) as connection:
            connection.execute("create extension if not exists citus")
            # 0: any other node; -1: the node itself.
            connection.execute(
                """
                insert into pg_dist_authinfo (nodeid, rolename, authinfo)
                select node_id, role_name, format('password=%%s', password)
                from unnest(%s::text[], %s::text[]) as passwords (role_name, password)
                cross join (values (0), (-1)) as nodes (node_id)
                on conflict do nothing
                """,
                [list(passwords), list(passwords.values())],
            )

    def _join(self, nodes: Sequence[LocalServer]) -> None:
        """Tell the coordinator of the nodes; ServerError if it knows them by other ports."""
        coordinator, *workers = nodes
        with connect(replace(coordinator.superuser_address, database=self.address.database)) as connection:
            known = [port for (port,) in connection.execute("select nodeport from pg_dist_node order by nodeport")]
            if known and known != [node.address.port for node in nodes]:
                raise ServerError(
                    f"{self.data} was made for the ports {', '.join(map(str, known))}. Set PGPORT={known[0]}, or "
                    "remove it with `python -m loaders cluster down --remove-data`."
                )
            if not known:
                # One transaction: a cluster with some of its workers is not made.
                with connection.transaction():
                    host = self.address.host
                    connection.execute("select citus_set_coordinator_host(%s, %s)", [host, coordinator.address.port])
                    for worker in workers:
                        connection.execute("select citus_add_node(%s, %s)", [host, worker.address.port])
            # The role was made before the nodes met. Citus takes it over with the first distributed table that it owns,
            # and only a superuser may tell the workers.
            role = self.address.user
            if not connection.execute(
                "select from pg_dist_object where classid = 'pg_authid'::regclass and objid = quote_ident(%s)::regrole",
                [role],
            ).fetchone():
                with connection.transaction():
                    connection.execute("create table of_role (id integer)")
                    connection.execute(sql.SQL("alter table of_role owner to {}").format(sql.Identifier(role)))
                    connection.execute("select create_reference_table('of_role')")
                    connection.execute("drop table of_role")


def _settings(workers: int) -> list[Setting]:
    return [
        ("shared_preload_libraries", "'citus'", "A node of a cluster."),
        ("citus.node_conninfo", "'sslmode=prefer'", "The nodes are on one machine; the default requires TLS."),
        ("citus.local_hostname", "'127.0.0.1'", "A node that connects to itself listens there."),
        (
            "citus.shard_count",
            str(SHARDS_PER_WORKER * max(workers, 1)),
            "Each shard of a COPY has its commit.",
        ),
        ("citus.enable_repartition_joins", "on", "Marts join tables that are distributed by different columns."),
        ("citus.max_adaptive_executor_pool_size", "4", "Connections of one session to one worker: its shards."),
        ("citus.recover_2pc_interval", "'5s'", "How long after a crash rows wait for their second commit."),
    ]
