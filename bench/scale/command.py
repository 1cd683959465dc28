"""The command `scale`."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from bench.environment import read_circumstances
from bench.results import json_option, keep, seed_option
from bench.scale.run import scale_run
from bench.scale.stages import ENTITY_NAMES, PUBLISHED_RATES, PUBLISHED_TIMES, StageFigures
from bench.tables import console, optional, table
from loaders.connection import Address

FOLDER = Path("data/scale")
MIB = 1024**2


@click.command()
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True,
    help="Share of the real volumes: 1 is 130 million records.",
)  # fmt: skip
@click.option(
    "--entity", "entities", multiple=True, type=click.Choice(ENTITY_NAMES), help="Only this entity; may be repeated."
)
@seed_option
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, show_default=True,
    help="Folder of the bronze files and the run's state.",
)  # fmt: skip
@click.option("--anew", is_flag=True, help="Remove what an earlier run has left, and begin again.")
@click.option("--keep", "kept", is_flag=True, help="Leave the files and the database ingot_scale at the end.")
@json_option
def scale(
    scale: float, entities: tuple[str, ...], seed: int, folder: Path, anew: bool, kept: bool, json_path: Path | None
) -> None:
    """Run the gym's whole pipeline: per entity generate, load, core, marts, prune; then a day of each.

    A run that was interrupted or killed goes on at the stage where it was: give the same options again.

    Example: python -m bench scale --scale 0.1
    """
    address = Address.from_environment()
    chosen = tuple(name for name in ENTITY_NAMES if not entities or name in entities)
    with scale_run(folder, address, scale=scale, seed=seed, entities=chosen, anew=anew, keep=kept) as run:
        figures = run.to_end()
        screen = console()
        screen.print(stages_table(figures.stages))
        for sentence in figures.sentences:
            screen.print(sentence, highlight=False, soft_wrap=True, markup=False)
        keep("scale", figures, read_circumstances(address), json_path)


def stages_table(stages: Sequence[StageFigures]) -> Table:
    """Return a row a stage, the published figures beside them."""
    headings = ["records", "seconds", "records/s", "files or tables MB", "disk GB, most", "loader MiB, most"]
    last = ["published records/s; at scale 1", "note"]
    return table("The gym's pipeline", ["stage"], headings, map(_row, stages), last)


def _row(one: StageFigures) -> list[str]:
    rate = PUBLISHED_RATES.get(one.stage.step, "")
    whole = PUBLISHED_TIMES.get((one.stage.entity, one.stage.step), "") if one.stage.phase == "first build" else ""
    return [
        str(one.stage),
        f"{one.records:,}",
        f"{one.seconds:,.1f}",
        optional(one.rate, ",.0f"),
        f"{one.bytes / 1e6:,.0f}",
        f"{one.disk_bytes / 1e9:.2f}",
        "-" if one.peak_bytes is None else f"{one.peak_bytes / MIB:.0f}",
        "; ".join(filter(None, [rate, whole])) or "-",
        f"begun {one.attempts} times" if one.attempts > 1 else "",
    ]
