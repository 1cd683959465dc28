"""The commands that run servers: python -m loaders db | cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loaders.command_line import one_line_errors
from loaders.connection import Address

if TYPE_CHECKING:
    from loaders.cluster import LocalCluster
    from loaders.server import LocalServer


@click.group()
def db() -> None:
    """Run the local PostgreSQL.

    Example: python -m loaders db up
    """


@db.command("up")
@one_line_errors
def server_up() -> None:
    """Create the local server where it is missing, and start it.

    Example: PGPORT=54400 python -m loaders db up
    """
    click.echo(_server().up())


@db.command("down")
@click.option("--remove-data", is_flag=True, help="Delete the server's data, too.")
@one_line_errors
def server_down(remove_data: bool) -> None:
    """Stop the local server.

    Example: python -m loaders db down
    """
    server = _server()
    click.echo(server.down())
    if remove_data:
        server.remove()
        click.echo("its data is deleted")


@db.command()
@one_line_errors
def url() -> None:
    """Print the database's address, with the local server's public password; any other stays in PGPASSWORD.

    Example: psql "$(python -m loaders db url)"
    """
    click.echo(Address.from_environment().psql_url)


@click.group()
def cluster() -> None:
    """Run a local Citus cluster, from the programs in PG_BIN.

    Example: PG_BIN=citus/bin python -m loaders cluster up --workers 2
    """


@cluster.command("up")
@click.option(
    "--workers", type=click.IntRange(1, 16), default=2, show_default=True, help="Workers beside the coordinator."
)
@one_line_errors
def cluster_up(workers: int) -> None:
    """Create the cluster where it is missing, and start it: the coordinator at PGPORT, workers at the next ports.

    Example: PG_BIN=citus/bin python -m loaders cluster up --workers 2
    """
    click.echo(_cluster().up(workers))


@cluster.command("down")
@click.option("--remove-data", is_flag=True, help="Delete the cluster's data, too.")
@one_line_errors
def cluster_down(remove_data: bool) -> None:
    """Stop every node of the cluster.

    Example: PG_BIN=citus/bin python -m loaders cluster down
    """
    nodes = _cluster()
    click.echo(nodes.down())
    if remove_data:
        nodes.remove()
        click.echo("its data is deleted")


def _server() -> "LocalServer":
    # Imported where it is used: a load pays for no psutil.
    from loaders.server import LocalServer

    return LocalServer(Path(".pgdata"), Address.from_environment())


def _cluster() -> "LocalCluster":
    from loaders.cluster import LocalCluster

    return LocalCluster(Path(".pgdata-cluster"), Address.from_environment())
