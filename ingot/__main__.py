"""The command `ingot`: the loader's commands, `init`, and bench as a group."""

import sys

import click

from loaders.__main__ import main as loader
from loaders.command_line import one_line_errors


class Commands(click.Group):
    """The loader's commands and this module's own; bench, which takes longer to import, when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*self.commands, *loader.commands, "bench"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        if cmd_name == "bench":
            from bench.cli import cli

            return cli
        return self.commands.get(cmd_name) or loader.commands.get(cmd_name)


@click.group(cls=Commands, context_settings=loader.context_settings)
def program() -> None:
    """Land bronze files in PostgreSQL by COPY, exactly once; measure what the built models answer.

    Example: ingot load people.persons --workers 2
    """


@program.command()
@click.option("--package", metavar="FOLDER|URL", help="Where dbt finds the macros; by default, where pip found ingot.")
@one_line_errors
def init(package: str | None) -> None:
    """Prepare the dbt project in this folder: write the wrappers of the macros, print what the project's YAML needs.

    Example: ingot init --package ../ingot
    """
    from pathlib import Path

    from ingot.project import prepare

    click.echo(prepare(Path(), package))


def main() -> None:
    """Run the command line."""
    # A result of bench says by which words it was measured: those behind `bench`.
    program.main(prog_name="ingot", obj=sys.argv[2:])


if __name__ == "__main__":
    main()
