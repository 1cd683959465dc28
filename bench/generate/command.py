"""The commands `generate people`, `generate gym`, `generate shop`."""

from collections.abc import Callable
from pathlib import Path

import click

from bench.generate.gym import ENTITIES, generate_gym
from bench.generate.people import generate_people
from bench.generate.shop import generate_shop
from bench.results import rows_option, seed_option
from loaders.bronze import bronze_location


def folder_option(source: str, files: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option for the folder of a source's files, where the loader looks for them unless it is given."""

    def in_bronze() -> Path:
        root = bronze_location()
        if "://" in root:
            raise click.UsageError(f"BRONZE_ROOT is {root}, and generated files need a folder: name one with --to.")
        return Path(root) / source

    return click.option(
        "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=in_bronze,
        show_default=f"{source} in BRONZE_ROOT, or in data/bronze", help=f"Folder to write {files} into.",
    )  # fmt: skip


@click.group()
def generate() -> None:
    """Generate bronze files; the same rows and seed give the same bytes.

    Example: python -m bench generate people --rows 1000000
    """


@generate.command()
@rows_option(1_000_000, least=0)
@seed_option
@folder_option("people", "persons.csv")
def people(rows: int, seed: int, folder: Path) -> None:
    """Write persons.csv: id, name, age, isMarried, city, state, country.

    Example: python -m bench generate people --rows 1000000 --seed 1 --to data/bronze/people
    """
    click.echo(generate_people(folder, rows=rows, seed=seed))


@generate.command()
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True,
    help="Share of the real volumes: 1 is 130 million records.",
)  # fmt: skip
@click.option(
    "--entity", "entities", multiple=True, type=click.Choice([entity.name for entity in ENTITIES]),
    help="Only this entity; may be repeated.",
)  # fmt: skip
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Number of daily extractions.")
@seed_option
@folder_option("evo", "the entities' folders")
def gym(scale: float, entities: tuple[str, ...], runs: int, seed: int, folder: Path) -> None:
    """Write the gym's feed: members, sales, entries and prospects as gzipped NDJSON, in folders by entity, day and run.

    Example: python -m bench generate gym --scale 0.001 --runs 3 --seed 1 --to data/bronze/evo
    """
    click.echo(generate_gym(folder, scale=scale, runs=runs, seed=seed, entities=entities))


@generate.command()
@rows_option(1_000_000, "Number of rows of all three files.", least=0)
@seed_option
@folder_option("shop", "customers.csv and the two ledgers")
def shop(rows: int, seed: int, folder: Path) -> None:
    """Write the item shop's files: customers (a fifth of the rows), and the ledgers of items and of mods.

    Example: python -m bench generate shop --rows 1000000 --seed 1 --to data/bronze/shop
    """
    click.echo(generate_shop(folder, rows=rows, seed=seed))
