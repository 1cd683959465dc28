"""The command `declare`: from a file to the source and its models, or to what is different about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import click

from loaders.bronze import Folder, bronze_location
from loaders.declare.declaration import declaration
from loaders.declare.files import write_files
from loaders.declare.sample import read_sample
from loaders.declare.update import differences
from loaders.errors import SettingError
from loaders.sources import SourceTable, read_sources, select_sources


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What was written, what is doubtful about it, and the commands that come next; a line each."""

    written: tuple[str, ...]
    doubts: tuple[str, ...]
    commands: tuple[str, ...]


def declare(
    file: Path, *, name: str, key: Sequence[str], by: Sequence[str], pattern: str | None, project: Path
) -> Declared:
    """Write the source and models of a file."""
    path = _checked_pattern(file, pattern) if pattern else escape(_path_of(file))
    with read_sample(file) as sample:
        made = declaration(sample, name=name, path=path, key=key, by=by)
        written = write_files(made, project)
        doubts = list(made.doubts)
        rejects = f" --max-rejects {len(sample.rejected)}" if sample.rejected else ""
    if not pattern:
        doubts.append(
            f"path: only this file matches; declare a glob that later files match too, such as {_example(path)}"
        )
    return Declared(
        written=tuple(written),
        doubts=tuple(doubts),
        commands=(f"python -m loaders load {made.name}{rejects}", f"dbt build --select source:{made.source}+"),
    )


def compare(file: Path, *, name: str | None, project: Path) -> tuple[str, list[str]]:
    """Return the name of the file's source, and each way in which the file is not what that declares."""
    sources = read_sources(project)
    [source] = select_sources(sources, [name]) if name else [_source_of(file, sources)]
    with read_sample(file) as sample:
        return source.name, differences(sample, source, project)


def _source_of(file: Path, sources: Sequence[SourceTable]) -> SourceTable:
    path = _path_of(file)
    root = Folder(Path(bronze_location()))
    found = [one for one in sources if any(here.path == path for here in root.list_files(one.bronze.path))]
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "no source's path"
        raise SettingError(f"{path} matches {names}. Say which source it belongs to: --name SOURCE.TABLE.")
    return found[0]


def _path_of(file: Path) -> str:
    """Return a file's path under the bronze root."""
    root = bronze_location()
    if "://" not in root and file.resolve().is_relative_to(Path(root).resolve()):
        return file.resolve().relative_to(Path(root).resolve()).as_posix()
    raise SettingError(
        f"{file} is not under the bronze root, {root}, where the loader looks. Copy it there, set BRONZE_ROOT, or give "
        "--path, the glob of such files under it."
    )


def _checked_pattern(file: Path, pattern: str) -> str:
    root = bronze_location()
    if "://" in root or not file.resolve().is_relative_to(Path(root).resolve()):
        return pattern
    if all(here.path != _path_of(file) for here in Folder(Path(root)).list_files(pattern)):
        raise SettingError(f"--path is {pattern}, which {_path_of(file)} does not match. Give a glob that it does.")
    return pattern


def _example(path: str) -> str:
    stem, dot, suffix = path.partition(".")
    return f"{stem}*{dot}{suffix}"


def run(file: Path, *, name: str | None, key: str, by: str, pattern: str | None, update: bool) -> int:
    """Run the command in this folder and print what it did; return its exit code."""
    project = Path()
    if update:
        source, found = compare(file, name=name, project=project)
        for line in found:
            click.echo(line)
        if not found:
            click.echo(f"{file} is as {source} declares")
        return 1 if found else 0
    if name is None:
        raise SettingError("declare needs a name for the source table: --name SOURCE.TABLE, such as nyc.flights.")
    done = declare(file, name=name, key=_columns(key), by=_columns(by), pattern=pattern, project=project)
    for line in done.written:
        click.echo(line)
    for line in done.doubts:
        click.echo(f"doubt: {line}")
    click.echo("next:")
    for line in done.commands:
        click.echo(f"    {line}")
    return 0


def _columns(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
