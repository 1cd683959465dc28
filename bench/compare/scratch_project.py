"""A dbt project in a temporary folder: a few models of one's own on this repository's macros."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
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
        shutil.copy(REPOSITORY / "macros" / "generate_schema_name.sql", macros)
    else:
        # Without the YAML, which also describes tests that are not here.
        shutil.copytree(REPOSITORY / "macros", macros, ignore=shutil.ignore_patterns("*.yml"), dirs_exist_ok=True)
    shutil.copy(REPOSITORY / "profiles.yml", folder)
    (folder / "dbt_project.yml").write_text(json.dumps(PROJECT))
    for name, text in models.items():
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
