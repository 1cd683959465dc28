"""The gym's pipeline at a thousandth of its size: interrupted and resumed, a row of figures a stage, nothing left."""

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.scale.stages import ENTITY_NAMES, Stage, StageFigures
from bench.scale.steps import Steps
from loaders.connection import Address, connect
from tests.bench.support import use

STEPS = ["generate", "load", "core", "marts", "prune"]


def databases(address: Address) -> int:
    query = "select count(*) from pg_database where datname = 'ingot_scale'"
    with connect(address) as connection:
        [found] = connection.execute(query).fetchone() or (0,)
    return int(found)


@pytest.mark.filterwarnings("ignore")  # dbt's own dependencies
def test_an_interrupted_run_goes_on_at_its_stage(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    folder, written = tmp_path / "scale", tmp_path / "figures.json"
    run = f"scale --scale 0.001 --folder {folder} --json {written}".split()

    def interrupt(_steps: Steps, _stage: Stage) -> StageFigures:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "_marts", interrupt)
        assert main(run) == 130
    [part, _] = sorted(folder.rglob("*.jsonl.gz"))  # of entries, which come first
    generated_at = part.stat().st_mtime_ns
    assert [one["stage"]["step"] for one in json.loads((folder / "state.json").read_text())["done"]] == STEPS[:3]
    capsys.readouterr()
    assert main([*run, "--seed", "2"]) == 1
    assert f"{folder} holds a run of other options" in capsys.readouterr().err

    assert main([*run, "--keep"]) == 0, capsys.readouterr().err
    shown = capsys.readouterr()
    assert part.stat().st_mtime_ns == generated_at, "the stages before are not run again"
    assert "[4/40] entries, first build: marts: " in shown.err
    figures = json.loads(written.read_text())
    stages = {(one["stage"]["entity"], one["stage"]["phase"], one["stage"]["step"]): one for one in figures["stages"]}
    assert list(stages) == [
        (entity, phase, step) for phase in ("first build", "a day") for entity in ENTITY_NAMES for step in STEPS
    ]
    assert stages["entries", "first build", "marts"]["attempts"] == 2
    load, core = (stages["sales", "first build", step] for step in ("load", "core"))
    # 12,800 distinct sales, of which some come twice; then 64 new ones and as many known ones.
    assert load["records"] == core["records"] == stages["sales", "first build", "generate"]["records"] == 12_988
    assert stages["sales", "a day", "load"]["records"] == 128
    assert set(core["models"]) == {"gym_sales", "gym_sale_items", "gym_receivables"}
    assert 20 < load["peak_bytes"] / 1024**2 < 200
    assert all(one["disk_bytes"] > 10_000_000 for one in stages.values())
    assert min(one["bytes"] for one in (load, core, stages["sales", "first build", "marts"])) > 0
    assert "4,000-7,000" in shown.out
    assert "Bronze to marts, first build of all: " in shown.out

    # At the end of a run that is not to be kept, neither its database nor its files are left.
    assert databases(address) == 1
    assert main(run) == 0
    assert (databases(address), folder.exists()) == (0, False)


def test_a_state_without_its_database_is_refused(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(address, monkeypatch)
    folder = tmp_path / "scale"
    folder.mkdir()
    begun = {"stage": {"phase": "first build", "entity": "sales", "step": "generate"}, "seconds": 1}
    state = {"scale": 0.001, "seed": 1, "entities": ["sales"], "done": [], "begun": begun}
    (folder / "state.json").write_text(json.dumps(state))
    assert main(f"scale --scale 0.001 --entity sales --folder {folder}".split()) == 1
    assert "one of them is missing. Begin again with --anew" in capsys.readouterr().err
    (folder / "state.json").write_text("{}")
    assert main(f"scale --scale 0.001 --entity sales --folder {folder}".split()) == 1
    assert "begin again with --anew" in capsys.readouterr().err
