"""A dbt project in a temporary folder: a few models of one's own on this repository's macros."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.dbt_command import run_dbt
from bench.environment import repository_path
from loaders.connection import Address

# The namespace of the macros is the project's name.
PROJECT = {
    "name": "ingot",
    "profile": "ingot",
    "flags": {"send_anonymous_usage_stats": False},
    "models": {"ingot": {"+schema": "core"}},
}


def write_scratch_project(folder: Path, models: Mapping[str, str], *, stock: bool = False) -> None:
    """Write a project with these files below models/ into `folder`; a stock one takes only our schema names."""
    macros = folder / "macros"
    if stock:
        macros.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository_path("macros/generate_schema_name.sql"), macros)
    else:
        # Without the YAML, which also describes tests that are not here.
        shutil.copytree(repository_path("macros"), macros, ignore=shutil.ignore_patterns("*.yml"), dirs_exist_ok=True)
    shutil.copy(repository_path("profiles.yml"), folder)
    (folder / "dbt_project.yml").write_text(json.dumps(PROJECT))
    for name, text in models.items():
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Project:
    """A scratch dbt project, parsed once, whose models are run one at a time."""

    def __init__(self, folder: Path, address: Address, models: Mapping[str, str], *, stock: bool) -> None:
        self.folder = folder
        self.address = address
        write_scratch_project(folder, models, stock=stock)
        self.manifest = self._dbt("parse")

    def run(self, model: str, *arguments: str) -> float:
        """Build one model and return the seconds that it took; ToolError carries dbt's words."""
        [result] = self._dbt("run", "--select", model, *arguments, manifest=self.manifest).results
        return float(result.execution_time)

    def _dbt(self, *arguments: str, manifest: Any = None) -> Any:
        return run_dbt(*arguments, project=self.folder, artifacts=self.folder, address=self.address, manifest=manifest)
