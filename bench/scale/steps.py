"""What each step does: generate, load, build core and marts, prune; with the commands that a user would run."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.dbt_command import SAID_CHARACTERS, run_dbt
from bench.environment import repository_path
from bench.errors import AnswersDiffer, StepFailed
from bench.generate.gym import ENTITIES, distinct_records, generate_gym, generate_gym_day, new_records
from bench.scale.stages import Stage, StageFigures
from loaders.connection import Address

LAUNCHER = repository_path("bench/compare/timed_child.py")


@dataclass
class Steps:
    """The steps of a run in one database: bronze files and the commands' own words are in `folder`."""

    folder: Path
    address: Address
    connection: psycopg.Connection
    scale: float
    seed: int
    manifest: Any = None

    def prepare(self) -> None:
        """Parse the dbt project, which takes seconds and is no stage's work."""
        self.manifest = self._dbt("parse")

    def run(self, stage: Stage) -> StageFigures:
        """Run one step to its end, and return what it has to tell; StepFailed carries what it said.

        It may have been broken off before.
        """
        return {
            "generate": self._generate, "load": self._load, "core": self._core, "marts": self._marts,
            "prune": self._prune,
        }[stage.step](stage)  # fmt: skip

    def landed_records(self, entity: str) -> int:
        """Return how many records of an entity have landed, those that are pruned by now included."""
        return self._number(
            "select coalesce(sum(records), 0) from ops.loads"
            " where status not in ('started', 'failed', 'discarded') and table_name = %s",
            f"evo__{entity}",
        )

    def check(self, stage: Stage) -> None:
        """Raise AnswersDiffer unless the core table has a row for each distinct record so far; it is counted anew."""
        [entity] = [one for one in ENTITIES if one.name == stage.entity]
        expected = distinct_records(entity, self.scale)
        if stage.phase == "a day":
            expected += new_records(entity, self.scale)
        table = f"core.gym_{stage.entity}"
        found = self._number(f"select count(*) from {table}")
        if found != expected:
            raise AnswersDiffer(
                f"{table} has {found:,} rows after {stage}, of {expected:,} distinct records that were delivered: no "
                "figure of this run counts. See `python -m loaders status`, then begin again with --anew."
            )

    def _generate(self, stage: Stage) -> StageFigures:
        bronze = self.folder / "bronze" / "evo"
        if stage.phase == "first build":
            written = generate_gym(
                bronze, scale=self.scale, runs=1, seed=self.seed, entities=[stage.entity], resume=True
            )
        else:
            written = generate_gym_day(bronze, scale=self.scale, seed=self.seed, entities=[stage.entity])
        return StageFigures(stage=stage, bytes=written.bytes)

    def _load(self, stage: Stage) -> StageFigures:
        peak = self._loader("load", f"evo.{stage.entity}")
        return StageFigures(stage=stage, peak_bytes=peak, bytes=self._raw_bytes(stage))

    def _core(self, stage: Stage) -> StageFigures:
        return self._build(stage, "staging", "core")

    def _marts(self, stage: Stage) -> StageFigures:
        return self._build(stage, "marts")

    def _prune(self, stage: Stage) -> StageFigures:
        peak = self._loader("prune", f"evo.{stage.entity}")
        return StageFigures(stage=stage, peak_bytes=peak, bytes=self._raw_bytes(stage))

    def _raw_bytes(self, stage: Stage) -> int:
        query = "select coalesce(sum(pg_total_relation_size(relid)), 0) from pg_partition_tree(%s::regclass)"
        return self._number(query, f"staging.evo__{stage.entity}")

    def _number(self, query: str, *arguments: str) -> int:
        row = self.connection.execute(query, arguments).fetchone()
        return int(row[0]) if row else 0

    @property
    def _log(self) -> Path:
        return self.folder / "commands.log"

    def _loader(self, *arguments: str) -> int:
        """Run a command of the loader in a process group of its own, and return its peak memory in bytes."""
        environment = os.environ | self.address.environment | {"BRONZE_ROOT": str((self.folder / "bronze").absolute())}
        with self._log.open("a") as log:
            child = subprocess.Popen(
                [sys.executable, "-S", str(LAUNCHER), sys.executable, "-m", "loaders", *arguments],
                cwd=repository_path("dbt_project.yml").parent, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
            try:
                said, _ = child.communicate()
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGINT)
                child.wait()
                raise
        measured = said.split()
        if len(measured) != 3 or measured[2] != "0":
            words = " ".join(self._log.read_text(errors="replace").split())[-SAID_CHARACTERS:]
            raise StepFailed(f"`python -m loaders {' '.join(arguments)}` failed: {words} All it said: {self._log}", 1)
        return int(measured[1])

    def _build(self, stage: Stage, *layers: str) -> StageFigures:
        """Build the models of an entity in these layers.

        One at a time, where a user's profile has two: gym_sale_items and gym_receivables, built together at scale 1,
        have 7 GB of temporary files.
        """
        selected = [f"source:evo.{stage.entity}+,path:models/{layer}" for layer in layers]
        results = [
            one for one in self._dbt("run", "--threads", "1", "--select", *selected).results
            if one.node.resource_type == "model" and one.node.config.materialized != "view"
        ]  # fmt: skip
        size = "select pg_total_relation_size(%s::regclass)"
        return StageFigures(
            stage=stage,
            bytes=sum(self._number(size, one.node.relation_name) for one in results),
            models={one.node.name: round(float(one.execution_time), 3) for one in results},
        )

    def _dbt(self, *arguments: str) -> Any:
        root = repository_path("dbt_project.yml").parent
        return run_dbt(*arguments, project=root, artifacts=self.folder, address=self.address, manifest=self.manifest)
