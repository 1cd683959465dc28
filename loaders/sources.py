"""The declared sources: what `config.meta.bronze` in the dbt sources YAML says of each source table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from loaders.errors import SourceError
from loaders.project_files import check_places, folders_set_aside

FileFormat = Literal["csv", "jsonl"]
DECLARATIONS = "models/staging/*/_*__sources.yml"
LINEAGE = ("_load_id", "_file_id", "_record_number")


@dataclass(frozen=True, kw_only=True)
class Bronze:
    """How a source table's files look.

    `path` is a glob under the bronze root. `null_text` is the text that stands for NULL in a CSV file, unquoted; the
    default is the empty text. `encoding` is PostgreSQL's and Python's name of it. `record_number` lands each record's
    number in its file, where the order of records matters.
    """

    path: str
    format: FileFormat = "csv"
    delimiter: str = ","
    quote: str = '"'
    null_text: str = ""
    encoding: str = "utf-8"
    record_number: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """One source table: its dbt name, its raw table, its files, the columns that its YAML describes without lineage."""

    source: str
    table: str
    schema: str
    identifier: str
    bronze: Bronze
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that commands take: people.persons."""
        return f"{self.source}.{self.table}"


def read_sources(project: Path) -> list[SourceTable]:
    """Return every source table of the dbt project in `project` that declares bronze files."""
    found: list[SourceTable] = []
    aside, paths = folders_set_aside(project), sorted(project.glob(DECLARATIONS))
    check_places(project, paths)
    for path in paths:
        if path.parent.name in aside:
            continue
        try:
            document = yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            raise SourceError(f"{path}: not YAML ({' '.join(str(error).split())}). Correct it.") from error
        found.extend(_declared(document or {}, path))
    if not found:
        raise SourceError(
            f"No source declares bronze files: looked for config.meta.bronze in {project / DECLARATIONS}. "
            "Run from the project's root, or declare a source (docs/adding-a-source.md)."
        )
    return found


def select_sources(sources: Sequence[SourceTable], names: Sequence[str]) -> list[SourceTable]:
    """Return the source tables that `names` (SOURCE or SOURCE.TABLE) choose, all of them for no names."""
    chosen = [table for table in sources if not names or table.name in names or table.source in names]
    for name in names:
        if not any(name in (table.name, table.source) for table in sources):
            known = ", ".join(table.name for table in sources)
            raise SourceError(f"{name} is not a declared source. Name one of: {known}.")
    return chosen


def _declared(document: dict[str, Any], path: Path) -> Iterator[SourceTable]:
    for source in document.get("sources") or []:
        for table in source.get("tables") or []:
            meta = (table.get("config") or {}).get("meta") or {}
            if "bronze" not in meta:
                continue
            where = f"{path}: {source['name']}.{table['name']}"
            yield SourceTable(
                source=source["name"],
                table=table["name"],
                schema=source.get("schema") or source["name"],
                identifier=table.get("identifier") or table["name"],
                bronze=_bronze(meta["bronze"], where),
                columns=tuple(one["name"] for one in table.get("columns") or () if one["name"] not in LINEAGE),
            )


def _bronze(declared: object, where: str) -> Bronze:
    accepted = {field.name: field.type for field in fields(Bronze)}
    if not isinstance(declared, dict) or "path" not in declared:
        raise SourceError(f"{where}: config.meta.bronze lacks a path. Give it the glob of its files.")
    for key, value in declared.items():
        if key not in accepted:
            raise SourceError(f"{where}: config.meta.bronze.{key} is not known. Use: {', '.join(accepted)}.")
        if isinstance(value, bool) != (accepted[key] is bool) or not isinstance(value, bool | str):
            remedy = "Use true or false." if accepted[key] is bool else "Put it in quotes."
            raise SourceError(f"{where}: config.meta.bronze.{key} is {value!r}. {remedy}")
    bronze = Bronze(**declared)
    if bronze.format not in get_args(FileFormat):
        raise SourceError(
            f"{where}: config.meta.bronze.format is {bronze.format!r}. Use: {', '.join(get_args(FileFormat))}."
        )
    for key in ("delimiter", "quote"):
        if len(getattr(bronze, key).encode()) != 1:
            raise SourceError(f"{where}: config.meta.bronze.{key} is not one byte, as COPY wants it. Correct it.")
    return bronze
