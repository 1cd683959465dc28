"""What the dbt project says beside its sources: folders that are set aside, and declarations in the wrong place."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from loaders.errors import SourceError

# libyaml's parser, which PyYAML's wheels have, reads this project's sources in a sixth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def folders_set_aside(project: Path) -> frozenset[str]:
    """Return the folders of models/staging whose sources dbt_project.yml disables, as its var `samples` does."""
    path = project / "dbt_project.yml"
    document = read_document(path) if path.exists() else {}
    staging = ((document.get("sources") or {}).get(document.get("name")) or {}).get("staging") or {}
    return frozenset(name for name, config in staging.items() if isinstance(config, dict) and _is_off(config))


def read_document(path: Path) -> dict[str, Any]:
    """Return what a YAML file says, nothing where it is no mapping; SourceError if it is not YAML."""
    try:
        document = yaml.load(path.read_text(), Loader=LOADER)  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise SourceError(f"{path}: not YAML ({' '.join(str(error).split())}). Correct it.") from error
    return document if isinstance(document, dict) else {}


def check_places(project: Path, known: Collection[Path]) -> None:
    """Raise SourceError for a YAML that declares bronze files where the loader does not look."""
    for path in sorted((project / "models").rglob("*.y*ml")):
        if path in known or "bronze:" not in path.read_text():
            continue
        for source, table in _declared(read_document(path)):
            raise SourceError(
                f"{path} declares the bronze files of {source}.{table}, where the loader does not look. "
                f"Move it to models/staging/{source}/_{source}__sources.yml."
            )


def _declared(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for source in document.get("sources") or []:
        for table in source.get("tables") or []:
            if "bronze" in ((table.get("config") or {}).get("meta") or table.get("meta") or {}):
                yield source["name"], table["name"]


def _is_off(config: dict[str, Any]) -> bool:
    return config.get("+enabled", config.get("enabled")) is False
