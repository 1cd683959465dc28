"""The stages of a run, what each took, and what the system that this replaces published for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.generate.gym import ENTITIES

Phase = Literal["first build", "a day"]
Step = Literal["generate", "load", "core", "marts", "prune"]
STEPS: tuple[Step, ...] = ("generate", "load", "core", "marts", "prune")
# The largest first: its raw rows are gone before the others' core tables take room.
ENTITY_NAMES = tuple(entity.name for entity in sorted(ENTITIES, key=lambda entity: -entity.count))
# On 8 cores and a managed PostgreSQL, at scale 1: records a second of any entity, and the whole by entity.
PUBLISHED_RATES: Mapping[Step, str] = {"load": "500-600", "core": "4,000-7,000"}
PUBLISHED_TIMES: Mapping[tuple[str, Step], str] = {
    ("members", "load"): "1 h",
    ("members", "core"): "45 min",
    ("sales", "load"): "2 h",
    ("sales", "core"): "30 min",
    ("entries", "load"): "5 h",
}
PUBLISHED_REST = "Published besides: extraction at 140 to 220 records/s, a staging table that grew to 123 GB."
# The first build's limit at scale 1, and what counts towards it: not to generate the files.
FIRST_BUILD_STEPS: tuple[Step, ...] = ("load", "core", "marts", "prune")


@dataclass(frozen=True)
class Stage:
    """One step of one entity: in the first build, or in the daily run after it."""

    phase: Phase
    entity: str
    step: Step

    def __str__(self) -> str:
        return f"{self.entity}, {self.phase}: {self.step}"


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """What a stage took. Records are the phase's landed ones; `attempts` counts how often it was begun.

    `bytes` is what the step wrote: gzipped files, the raw table, core tables, marts (with their indexes); of prune what
    the raw table is afterwards. `disk_bytes` is the most that files and server took meanwhile, `peak_bytes` the most
    memory of a process of the loader. `models` has dbt's seconds of each model.
    """

    stage: Stage
    seconds: float = 0
    records: int = 0
    bytes: int = 0
    disk_bytes: int = 0
    peak_bytes: int | None = None
    attempts: int = 1
    models: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Records a second, None for none."""
        return self.records / self.seconds if self.seconds and self.records else None


@dataclass(frozen=True, kw_only=True)
class ScaleFigures:
    """A whole run's figures."""

    scale: float
    seed: int
    stages: tuple[StageFigures, ...]
    sentences: tuple[str, ...]


def planned_stages(entities: Sequence[str]) -> list[Stage]:
    """Return the stages in order: each entity's first build, then a day of each."""
    chosen = [name for name in ENTITY_NAMES if name in entities]
    phases: tuple[Phase, ...] = ("first build", "a day")
    return [Stage(phase, entity, step) for phase in phases for entity in chosen for step in STEPS]


def sentences(stages: Sequence[StageFigures]) -> tuple[str, ...]:
    """Say what the stages come to."""
    first = sum(
        one.seconds for one in stages if one.stage.phase == "first build" and one.stage.step in FIRST_BUILD_STEPS
    )
    day = sum(one.seconds for one in stages if one.stage.phase == "a day" and one.stage.step in FIRST_BUILD_STEPS)
    disk = max((one.disk_bytes for one in stages), default=0)
    memory = max((one.peak_bytes or 0 for one in stages), default=0)
    return (
        f"Bronze to marts, first build of all: {first / 60:.1f} min; a day of all: {day / 60:.1f} min.",
        f"At most {disk / 1e9:.2f} GB of disk for files and server, {memory / 1024**2:.0f} MiB of the loader's memory.",
        PUBLISHED_REST,
    )
