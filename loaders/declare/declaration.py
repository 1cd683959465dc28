"""The declaration: what a sample and a command line together say of a source table, before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loaders.declare.keys import given_key, proposed_key
from loaders.declare.sample import Sample
from loaders.declare.types import ColumnType, column_types
from loaders.errors import SettingError

# The house's limit; PostgreSQL's is 63.
MAX_NAME_LENGTH = 40


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A source table to be: `path` is its glob under the bronze root, `by` what the first mart counts by."""

    source: str
    table: str
    path: str
    sample: Sample
    types: tuple[ColumnType, ...]
    key: tuple[str, ...]
    by: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that commands take: nyc.flights."""
        return f"{self.source}.{self.table}"

    @property
    def staging_model(self) -> str:
        """The name of the staging view."""
        return f"stg_{self.source}__{self.table}"

    @property
    def core_model(self) -> str:
        """The name of the core table."""
        return f"{self.source}_{self.table}"

    @property
    def mart(self) -> str:
        """The name of the first mart."""
        return f"{self.core_model}_by_{'_and_'.join(self.by)}"

    def type_of(self, column: str) -> ColumnType:
        """Return the type of a column."""
        return next(one for one in self.types if one.column.name == column)


def declaration(sample: Sample, *, name: str, path: str, key: Sequence[str], by: Sequence[str]) -> Declaration:
    """Decide the types and the key; SettingError if the name, the key or the columns to count by cannot be used."""
    source, table = _parts(name)
    chosen = given_key(sample, key) if key else None
    counted = given_key(sample, by).columns if by else ()
    types = column_types(sample, keys=chosen.columns if chosen else ())
    chosen = chosen or proposed_key(sample, types)
    for column in chosen.columns:
        if next(one for one in types if one.column.name == column).cast.data_type == "jsonb":
            raise SettingError(f"{sample.path}: the key {column} is JSON, which cannot be a key. Name other columns.")
    made = Declaration(
        source=source,
        table=table,
        path=path,
        sample=sample,
        types=tuple(types),
        key=chosen.columns,
        by=counted,
        doubts=(*_of_records(sample), *chosen.doubts, *(doubt for one in types for doubt in one.doubts)),
    )
    for model in (made.staging_model, made.core_model, *([made.mart] if counted else [])):
        if len(model) > MAX_NAME_LENGTH:
            raise SettingError(f"{model} is longer than {MAX_NAME_LENGTH} letters. Choose a shorter --name.")
    return made


def _of_records(sample: Sample) -> list[str]:
    doubts = []
    if not sample.rows:
        doubts.append("the file has no record: its columns are declared as text")
    if not sample.is_whole:
        doubts.append(f"only the first {sample.rows:,} records were looked at")
    if not sample.has_header:
        doubts.append("the file has no header; its columns are numbered: list their names as `columns` under `bronze`")
    if sample.encoding != "utf-8":
        doubts.append(f"the file is not UTF-8; declared as encoding: {sample.encoding}")
    if sample.rejected:
        doubts.append(
            f"{len(sample.rejected):,} records will be rejected ({', '.join(sample.rejected[:3])}); "
            "`python -m loaders rejects` shows them"
        )
    return doubts


def _parts(name: str) -> tuple[str, str]:
    parts = name.split(".")
    if len(parts) != 2 or not all(part.isidentifier() and part.isascii() and part.islower() for part in parts):
        raise SettingError(f"--name is {name!r}. Give it as SOURCE.TABLE in snake_case, such as nyc.flights.")
    return parts[0], parts[1]


def folders(made: Declaration, project: Path) -> tuple[Path, Path, Path]:
    """Return where the staging, core and mart files of a declaration go."""
    models = project / "models"
    return models / "staging" / made.source, models / "core", models / "marts" / made.source
