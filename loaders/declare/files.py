"""The files of a declaration: written where dbt and the loader look, over nothing that is there."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from loaders.declare import model_texts as texts
from loaders.declare.declaration import Declaration, folders
from loaders.declare.source_text import source_text, table_text
from loaders.errors import SourceError


def write_files(made: Declaration, project: Path) -> list[str]:
    """Write the source and its models, all or none; return what was done, a line a file."""
    staging, core, marts = folders(made, project)
    new = [
        (staging / f"{made.staging_model}.sql", texts.staging_sql(made)),
        (staging / f"{made.staging_model}.yml", texts.staging_yaml(made)),
        (core / f"{made.core_model}.sql", texts.core_sql(made)),
        (core / f"{made.core_model}.yml", texts.core_yaml(made)),
    ]
    if made.by:
        new += [
            (marts / f"{made.mart}.sql", texts.mart_sql(made)),
            (marts / f"{made.mart}.yml", texts.mart_yaml(made)),
        ]
    sources = staging / f"_{made.source}__sources.yml"
    before = sources.read_text() if sources.exists() else None
    after = _new_sources(made) if before is None else _widened(before, made, sources)
    _check_free([path for path, _ in new], project)
    _write_all([*new, (sources, after)], undo=lambda: _restore(sources, before))
    done = "wrote" if before is None else f"added {made.name} to"
    return [f"{done} {sources.relative_to(project)}", *(f"wrote {path.relative_to(project)}" for path, _ in new)]


def _new_sources(made: Declaration) -> str:
    return source_text(made) + table_text(made, indent=6, has_freshness=True)


def _widened(before: str, made: Declaration, path: Path) -> str:
    """Return a sources YAML with the table behind the source's others, and no other change."""
    try:
        document, tree = yaml.safe_load(before), yaml.compose(before)
    except yaml.YAMLError as error:
        raise SourceError(f"{path}: not YAML ({' '.join(str(error).split())}). Correct it.") from error
    sources = _entry(tree, "sources")
    found = [one for one in (sources.value if sources else []) if _text(one, "name") == made.source]
    tables = _entry(found[0], "tables") if found else None
    if tables is None or tables.flow_style or not tables.value:
        raise SourceError(
            f"{path} has no list of tables of the source {made.source}. Give it one, an entry a line, or remove it."
        )
    if any(_text(table, "name") == made.table for table in tables.value):
        raise SourceError(
            f"{path} declares {made.name} already, and nothing is overwritten. "
            f"Compare a file with it: `python -m loaders declare --update FILE --name {made.name}`."
        )
    has_freshness = any(
        "loaded_at_query" in (one.get("config") or one) for one in document["sources"] if one["name"] == made.source
    )
    # The list ends where the next thing begins: the table goes behind its last line that says something.
    head = before[: tables.end_mark.index].rstrip()
    end = before.find("\n", len(head)) + 1 or len(before)
    body = before[:end] if before[:end].endswith("\n") else before[:end] + "\n"
    entry = table_text(made, indent=tables.start_mark.column, has_freshness=has_freshness)
    after = f"{body}\n{entry}{before[end:]}"
    if not _is_widened(document, yaml.safe_load(after), made):
        raise SourceError(f"{path} cannot be added to without disturbing it. Add the table by hand:\n\n{entry}")
    return after


def _is_widened(before: Any, after: Any, made: Declaration) -> bool:
    """Tell whether `after` says what `before` does, and one table more."""
    for source in after["sources"]:
        if source["name"] == made.source:
            source["tables"] = [table for table in source["tables"] if table["name"] != made.table]
    return bool(after == before)


def _entry(node: Any, key: str) -> Any:
    """Return the value of a key of a YAML mapping, None where it has none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _text(node: Any, key: str) -> str | None:
    entry = _entry(node, key)
    return entry.value if isinstance(entry, yaml.ScalarNode) else None


def _check_free(paths: Sequence[Path], project: Path) -> None:
    # dbt finds a model by its name, in whatever folder it stands.
    models = {path.stem: path for path in (project / "models").rglob("*.sql")}
    for path in paths:
        taken = path if path.exists() else models.get(path.stem)
        if taken is not None:
            raise SourceError(f"{taken.relative_to(project)} is there already, and nothing is overwritten. Remove it.")


def _write_all(new: Sequence[tuple[Path, str]], *, undo: Callable[[], None]) -> None:
    written: list[Path] = []
    try:
        for path, text in new:
            path.parent.mkdir(parents=True, exist_ok=True)
            # The sources' YAML comes last, so that the loader knows no source without models.
            with path.open("w" if path is new[-1][0] else "x") as file:
                written.append(path)
                file.write(text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        undo()
        if isinstance(error, OSError):
            raise SourceError(f"{error.filename}: {error.strerror}. Nothing was written.") from error
        raise


def _restore(path: Path, before: str | None) -> None:
    if before is not None:
        path.write_text(before)
