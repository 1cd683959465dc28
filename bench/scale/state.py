"""Which stages of a run are done, in a JSON file beside its data, so that a killed run goes on where it was."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.errors import ToolError
from bench.results import write_whole
from bench.scale.stages import Stage, StageFigures

FILE_NAME = "state.json"


@dataclass
class State:
    """A run's options, the figures of the stages that are done, and of the one that had begun."""

    scale: float
    seed: int
    entities: tuple[str, ...]
    done: list[StageFigures] = field(default_factory=list)
    begun: StageFigures | None = None

    def begin(self, stage: Stage) -> StageFigures:
        """Return the figures of a stage that begins, or goes on after an attempt that was broken off."""
        if self.begun is None or self.begun.stage != stage:
            return StageFigures(stage=stage)
        return replace(self.begun, attempts=self.begun.attempts + 1)

    def keep(self, folder: Path) -> None:
        """Write the state into `folder`, whole."""
        write_whole(folder / FILE_NAME, json.dumps(asdict(self), indent=1) + "\n")


def read_state(folder: Path, *, scale: float, seed: int, entities: tuple[str, ...]) -> State:
    """Return the state of the run in `folder`, a new one if there is none; ToolError if that has other options."""
    path = folder / FILE_NAME
    if not path.exists():
        return State(scale, seed, entities)
    try:
        found = TypeAdapter(State).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ToolError(f"{path} cannot be read ({error.errors()[0]['msg']}): begin again with --anew.") from error
    if (found.scale, found.seed, found.entities) != (scale, seed, entities):
        raise ToolError(
            f"{folder} holds a run of other options that has not ended (--scale {found.scale} --seed {found.seed}, "
            f"{', '.join(found.entities)}): end it with these, choose another --folder, or begin again with --anew."
        )
    return found
