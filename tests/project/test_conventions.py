"""The rules of the house that a machine can check, read from dbt's manifest."""

import json
from typing import Any

import pytest

from loaders.connection import Address
from tests.conftest import REPOSITORY
from tests.project.conftest import Dbt

LAYERS = ["staging", "core", "marts"]
MAX_NAME_LENGTH = 40


@pytest.fixture
def manifest(dbt: Dbt, address: Address) -> dict[str, Any]:
    dbt.succeed("parse")
    manifest = json.loads((dbt.folder / "target" / "manifest.json").read_text())
    assert isinstance(manifest, dict)
    return manifest


def test_the_project_keeps_its_rules(manifest: dict[str, Any]) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    tested = {node.get("attached_node") for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    assert models
    for model in models:
        name, layer = model["name"], model["path"].split("/")[0]
        assert layer in LAYERS, name
        assert len(name) <= MAX_NAME_LENGTH, name
        assert name.startswith("stg_") == (layer == "staging"), name
        assert model["description"].startswith("One row per "), name
        assert all(column["description"] for column in model["columns"].values()), name
        assert model["unique_id"] in tested, f"{name} has no test"
        if layer != "staging":
            assert model["config"]["contract"]["enforced"], name
            assert any(index.get("unique") for index in model["config"].get("indexes") or []), f"{name} has no key"
        for parent in model["depends_on"]["nodes"]:
            source_layer = "source" if parent.startswith("source.") else manifest["nodes"][parent]["path"].split("/")[0]
            allowed = {"staging": ["source"], "core": ["staging", "core", "seeds"], "marts": ["core", "marts", "seeds"]}
            assert source_layer in allowed[layer] or parent.startswith("seed."), f"{name} reads {parent}"


def test_every_source_declares_bronze_and_freshness(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        assert source["config"]["meta"]["bronze"]["path"], source["name"]
        assert source["loaded_at_query"], source["name"]
        assert source["description"], source["name"]


def test_every_macro_of_the_project_is_described(manifest: dict[str, Any]) -> None:
    private = ("default__", "postgres__", "test_", "materialization_")
    for macro in manifest["macros"].values():
        if macro["package_name"] == "ingot" and not macro["name"].startswith(private):
            assert macro["description"], macro["name"]


def test_no_path_of_a_machine_and_no_index_is_committed() -> None:
    listed = (REPOSITORY / "requirements.lock").read_text()
    assert "http" not in listed
    assert "--hash=sha256:" in listed
