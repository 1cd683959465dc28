"""What a run keeps of a stage that was broken off."""

from dataclasses import replace
from pathlib import Path

from bench.scale.stages import Stage, planned_stages
from bench.scale.state import State, read_state

OPTIONS = {"scale": 0.1, "seed": 1, "entities": ("sales",)}
LOAD, CORE = Stage("first build", "sales", "load"), Stage("first build", "sales", "core")


def test_a_stage_that_goes_on_adds_to_its_seconds(tmp_path: Path) -> None:
    state = read_state(tmp_path, **OPTIONS)  # type: ignore[arg-type]
    state.begun = replace(state.begin(LOAD), seconds=7.5, disk_bytes=100, peak_bytes=3)
    state.keep(tmp_path)
    again = read_state(tmp_path, **OPTIONS)  # type: ignore[arg-type]
    figures = again.begin(LOAD)
    assert (figures.seconds, figures.attempts, figures.disk_bytes, figures.peak_bytes) == (7.5, 2, 100, 3)
    assert again.begin(CORE).attempts == 1


def test_stages_are_planned_entity_by_entity_the_largest_first() -> None:
    stages = planned_stages(("members", "entries"))
    assert [str(stage) for stage in (stages[0], stages[5], stages[10])] == [
        "entries, first build: generate", "members, first build: generate", "entries, a day: generate",
    ]  # fmt: skip
    assert len(stages) == 20
    assert State(**OPTIONS).begin(stages[0]).seconds == 0  # type: ignore[arg-type]
