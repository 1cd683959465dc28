"""Another dbt project that uses the macros as a package: its wrappers, and what its YAML needs."""

import json
import os
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from loaders.errors import SettingError

WRAPPERS = Path(__file__).with_name("wrappers.sql")
SETTINGS = Path(__file__).with_name("dbt_project.yml")
# A block of the file of wrappers: comments that stand before it, what it is, its name.
BLOCK = re.compile(r"(?:{#(?:(?!#}).)*#}\s*)?{% (macro|materialization|test) (\w+).*?{% end\1 %}\n", re.DOTALL)


def prepare(project: Path, package: str | None) -> str:
    """Write the wrappers into the project and return what was done and what is to do; SettingError where it cannot."""
    settings = project / "dbt_project.yml"
    if not settings.exists():
        raise SettingError("This folder has no dbt_project.yml: run `ingot init` in the root of your dbt project.")
    document: dict[str, Any] = yaml.safe_load(settings.read_text()) or {}
    entry = _entry(package) if package else _installed_from(project)
    folders = [project / folder for folder in document.get("macro-paths") or ["macros"]]
    written = _write_wrappers(folders, project)
    needed = SETTINGS.read_text().replace("PROJECT", str(document.get("name")))
    return "\n".join(
        (
            *written,
            "\npackages.yml:\n",
            f"packages:\n  - {entry}",
            "\ndbt_project.yml:\n",
            needed,
            "next: add these lines, where they are not there yet, then\n    dbt deps\n    ingot declare FILE",
        )
    )


def _write_wrappers(folders: list[Path], project: Path) -> list[str]:
    """Write the wrappers of all that the project does not define itself; return a line for each thing done."""
    path = folders[0] / "ingot_wrappers.sql"
    if path.exists():
        raise SettingError(f"{path.relative_to(project)} is there already, and nothing is overwritten. Remove it.")
    defined = _definitions(folders)
    kept, left = [], []
    for block in BLOCK.finditer(WRAPPERS.read_text()):
        own = defined.get((block[1], block[2]))
        if own is None:
            kept.append(block[0])
        else:
            left.append(f"left out: the {block[1]} {block[2]}, which {own.relative_to(project)} defines")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(kept))
    return [f"wrote {path.relative_to(project)}", *left]


def _definitions(folders: list[Path]) -> dict[tuple[str, str], Path]:
    """Return where the project defines a macro, a materialization of PostgreSQL's or a test, by kind and name."""
    found = {}
    start = re.compile(r"{%-?\s*(?:(macro|test)\s+(\w+)\s*\(|(materialization)\s+(\w+)\s*,\s*adapter\s*=\s*.postgres)")
    for folder in folders:
        for path in sorted(folder.rglob("*.sql")):
            for match in start.finditer(path.read_text()):
                found[match[1] or match[3], match[2] or match[4]] = path
    return found


def _installed_from(project: Path) -> str:
    """Return the entry of packages.yml for where pip found ingot, which pip keeps (PEP 610)."""
    try:
        origin = json.loads(distribution("ingot").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    if "vcs_info" in origin:
        return f"git: {origin['url']}\n    revision: {origin['vcs_info']['commit_id']}"
    if "dir_info" in origin:
        return f"local: {os.path.relpath(url2pathname(urlsplit(origin['url']).path), project.resolve())}"
    raise SettingError(
        "pip does not say where ingot came from: add `--package` and a clone's folder, or the URL of its repository."
    )


def _entry(package: str) -> str:
    return f"git: {package}" if "://" in package or package.endswith(".git") else f"local: {package}"
