"""A run over all stages: resumed where it was broken off, with a line of progress."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from psycopg import sql

from bench.errors import ToolError
from bench.scale.disk import Disk
from bench.scale.stages import ScaleFigures, Stage, StageFigures, planned_stages, sentences
from bench.scale.state import FILE_NAME, State, read_state
from bench.scale.steps import Steps
from loaders.connection import Address, connect

DATABASE = "ingot_scale"


@dataclass
class ScaleRun:
    """One run: its state in `folder`, its tables in a database of its own."""

    folder: Path
    address: Address
    state: State

    def to_end(self) -> ScaleFigures:
        """Run what is not done yet, and return the figures of all stages."""
        planned = planned_stages(self.state.entities)
        with connect(self.address, application_name="ingot bench") as connection:
            steps = Steps(self.folder, self.address, connection, self.state.scale, self.state.seed)
            if len(self.state.done) < len(planned):
                steps.prepare()
            for number, stage in enumerate(planned[len(self.state.done) :], len(self.state.done) + 1):
                self._run(stage, steps, f"[{number}/{len(planned)}]")
        stages = _with_records(self.state.done)
        return ScaleFigures(scale=self.state.scale, seed=self.state.seed, stages=stages, sentences=sentences(stages))

    def _run(self, stage: Stage, steps: Steps, place: str) -> None:
        began, figures = time.monotonic(), self.state.begin(stage)
        most = figures.disk_bytes

        def so_far(bytes_now: int) -> None:
            nonlocal most
            most = max(most, bytes_now)
            self.state.begun = replace(figures, seconds=figures.seconds + time.monotonic() - began, disk_bytes=most)
            self.state.keep(self.folder)
            _tell(place, self.state.begun)

        with Disk(self.folder, self.address).sampled(so_far):
            outcome = steps.run(stage)
            seconds = time.monotonic() - began
        done = replace(
            outcome, seconds=figures.seconds + seconds, disk_bytes=most, attempts=figures.attempts,
            records=self._records(stage, steps),
        )  # fmt: skip
        if stage.step == "core":
            steps.check(stage)
        self.state.done.append(done)
        self.state.begun = None
        self.state.keep(self.folder)
        _tell(place, done, is_done=True)

    def _records(self, stage: Stage, steps: Steps) -> int:
        """Return the records that the stage's phase has landed; 0 before it has."""
        if stage.step == "generate":
            return 0
        loads = [one for one in self.state.done if one.stage.entity == stage.entity and one.stage.step == "load"]
        if stage.step == "load":
            return steps.landed_records(stage.entity) - sum(one.records for one in loads)
        return loads[-1].records


def _tell(place: str, figures: StageFigures, *, is_done: bool = False) -> None:
    """Show a stage and its figures so far: on a terminal in a line that changes, elsewhere once it is done."""
    if not is_done and not sys.stderr.isatty():
        return
    rate = f", {figures.rate:,.0f} records/s" if is_done and figures.rate else ""
    disk = f"{figures.disk_bytes / 1e9:.2f} GB of disk at most"
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    line = f"{start}{place} {figures.stage}: {figures.seconds:,.1f} s{rate}, {disk}"
    click.echo(line, err=True, nl=is_done or not start)


def _with_records(done: list[StageFigures]) -> tuple[StageFigures, ...]:
    """Return the stages, those that generate with the records that the load after them has counted."""
    records = {(one.stage.phase, one.stage.entity): one.records for one in done if one.stage.step == "load"}
    return tuple(replace(one, records=records[one.stage.phase, one.stage.entity]) for one in done)


@contextmanager
def scale_run(
    folder: Path, address: Address, *, scale: float, seed: int, entities: tuple[str, ...], anew: bool, keep: bool
) -> Iterator[ScaleRun]:
    """Yield the run that `folder` holds, or a new one; both folder and database go when the body ends, unless `keep`.

    A body that fails or is interrupted leaves both, for the next run to go on.
    """
    own = replace(address, database=DATABASE)
    with connect(address) as connection:
        query = "select true from pg_database where datname = %s"
        found = connection.execute(query, [DATABASE]).fetchone()
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE))
        if anew:
            connection.execute(drop)
            found = None
            shutil.rmtree(folder, ignore_errors=True)
        is_known = (folder / FILE_NAME).exists()
        state = read_state(folder, scale=scale, seed=seed, entities=entities)
        if (found and not is_known) or (not found and (state.done or state.begun)):
            raise ToolError(
                f"The database {DATABASE} and the state of a run in {folder} do not belong together: one of them is "
                "missing. Begin again with --anew, which removes both, or name that run's --folder."
            )
        state.keep(folder)
        if not found:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
        yield ScaleRun(folder, own, state)
        if not keep:
            connection.execute(drop)
            shutil.rmtree(folder)
