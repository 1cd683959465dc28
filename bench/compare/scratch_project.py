"""A dbt project in a temporary folder: a few models of one's own on this repository's macros."""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from dbt.cli.main import dbtRunner

from bench.environment import repository_path
from bench.errors import ToolError
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
        self.manifest = None
        self.manifest = self._invoke("parse").result

    def run(self, model: str, *arguments: str) -> float:
        """Build one model and return the seconds that it took; ToolError carries dbt's words."""
        [result] = self._invoke("run", "--select", model, *arguments).result.results
        return float(result.execution_time)

    def _invoke(self, *arguments: str) -> Any:
        folder = str(self.folder)
        options = ["--project-dir", folder, "--profiles-dir", folder, "--target-path", f"{folder}/target"]
        said: list[str] = []
        with mock.patch.dict(os.environ, self.address.environment), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own dependencies
            runner = dbtRunner(manifest=self.manifest, callbacks=[lambda event: said.append(str(event.info))])
            done = runner.invoke(["--quiet", "--log-path", f"{folder}/logs", *arguments, *options])
        if isinstance(done.exception, KeyboardInterrupt):
            raise done.exception
        if not done.success:
            words = " ".join(said)[-600:]
            raise ToolError(
                f"dbt {' '.join(arguments)} failed: {words} {done.exception or ''} Fix that, then try again."
            )
        return done
