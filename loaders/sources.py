"""The declared sources: what `config.meta.bronze` in the dbt sources YAML says of each source table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from loaders.copy_format import CONVERTED_KINDS, CONVERTED_NULL, CopyFormat, FileKind
from loaders.errors import SourceError
from loaders.project_files import check_places, folders_set_aside, read_document
from loaders.raw_table import FILE_ID, LOAD_ID, RECORD_NUMBER, RawTable

DECLARATIONS = "models/staging/*/_*__sources.yml"
LINEAGE = (LOAD_ID, FILE_ID, RECORD_NUMBER)
CLOSEST_NAMES = 3


# What new files mean: more versions, new content of their paths, or the whole table.
Delivers = Literal["changes", "partitions", "full"]
# What may be declared of a source's files, and what it is; a tuple lists the words that are known.
DECLARABLE: dict[str, type | tuple[type, ...] | tuple[str, ...]] = {
    "path": str,
    "format": get_args(FileKind),
    "delimiter": str,
    "quote": str,
    "escape": str,
    "null_text": (str, list),
    "encoding": str,
    "record_number": bool,
    "header": bool,
    "columns": (dict, list),
    "skip_lines": int,
    "comment": str,
    "blank_lines": ("skip", "keep"),
    "ragged": ("reject", "pad"),
    "trim": bool,
    "delivers": get_args(Delivers),
    "manifest": bool,
}
NOT_FOR_CSV_ALONE = ("path", "format", "null_text", "encoding", "record_number", "delivers", "manifest")


@dataclass(frozen=True, kw_only=True)
class Bronze:
    """How a source table's files look: their glob under the bronze root, and their format.

    `null_texts` stand for NULL, unquoted: the first to COPY, the others to the casts in staging. `has_manifest`: a run
    counts once its `_run.json` is there.
    """

    path: str
    copy_format: CopyFormat
    null_texts: tuple[str, ...] = ("",)
    delivers: Delivers = "changes"
    has_manifest: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """One source table: its dbt name, its raw table, its files, the columns that its YAML describes without lineage.

    `extract` is `config.meta.extract` as it stands there; loaders/extract reads it.
    `distributed_by` is the column by which a Citus cluster spreads its rows.
    """

    source: str
    table: str
    schema: str
    identifier: str
    bronze: Bronze
    columns: tuple[str, ...] = ()
    extract: object = None
    distributed_by: str = FILE_ID

    @property
    def name(self) -> str:
        """The name that commands take: people.persons."""
        return f"{self.source}.{self.table}"

    @property
    def raw_table(self) -> RawTable:
        """The raw table that the source lands in."""
        return RawTable(schema=self.schema, name=self.identifier)


def read_sources(project: Path) -> list[SourceTable]:
    """Return every source table of the dbt project in `project` that declares bronze files."""
    found: list[SourceTable] = []
    problems: list[str] = []
    aside, paths = folders_set_aside(project), sorted(project.glob(DECLARATIONS))
    check_places(project, paths)
    for path in paths:
        if path.parent.name in aside:
            continue
        found.extend(_declared(read_document(path), path, problems))
    if problems:
        raise SourceError("\n".join(problems))
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
            known = [*dict.fromkeys(table.source for table in sources), *(table.name for table in sources)]
            closest = get_close_matches(name, known, n=CLOSEST_NAMES, cutoff=0)
            raise SourceError(f"{name} is not a declared source. Closest names: {', '.join(closest)}.")
    return chosen


def _declared(document: dict[str, Any], path: Path, problems: list[str]) -> Iterator[SourceTable]:
    """Yield the source tables of one file; what is wrong with a declaration is added to `problems`."""
    for source in document.get("sources") or []:
        for table in source.get("tables") or []:
            meta = (table.get("config") or {}).get("meta") or {}
            if "bronze" not in meta:
                continue
            try:
                where = f"{path}: {source['name']}.{table['name']}"
                bronze = _bronze(meta["bronze"], where)
                columns = tuple(one["name"] for one in table.get("columns") or () if one["name"] not in LINEAGE)
                distributed_by = _distributed_by(meta, [*bronze.copy_format.lineage_columns, *columns], where)
            except SourceError as error:
                problems.append(str(error))
                continue
            yield SourceTable(
                source=source["name"],
                table=table["name"],
                schema=source.get("schema") or source["name"],
                identifier=table.get("identifier") or table["name"],
                bronze=bronze,
                columns=columns,
                extract=meta.get("extract"),
                distributed_by=distributed_by,
            )


def _distributed_by(meta: dict[str, Any], columns: Sequence[str], where: str) -> str:
    """Return the column by which Citus spreads the rows: the file's unless the source says otherwise."""
    if meta.get("reference"):
        raise SourceError(
            f"{where}: config.meta.reference is not for a source: its raw table has partitions, of which Citus makes "
            "no reference table. Remove it."
        )
    column = str(meta.get("distributed_by", FILE_ID))
    if column not in columns:
        raise SourceError(
            f"{where}: config.meta.distributed_by is {column!r}, which is not described. Use: {', '.join(columns)}."
        )
    return column


def _bronze(declared: object, where: str) -> Bronze:
    where = f"{where}: config.meta.bronze"
    if not isinstance(declared, dict) or "path" not in declared:
        raise SourceError(f"{where} lacks a path. Give it the glob of its files.")
    problems = list(_unusable(declared))
    if problems:
        raise SourceError("\n".join(f"{where}.{problem}" for problem in problems))
    null_texts = declared.get("null_text", "")
    null_texts = tuple(null_texts) if isinstance(null_texts, list) else (null_texts,)
    quote: str = declared.get("quote", '"').replace("none", "")
    columns = declared.get("columns")
    kind = declared.get("format", "csv")
    copy_format = CopyFormat(
        kind=kind,
        delimiter=declared.get("delimiter", ","),
        quote=quote,
        escape=declared.get("escape", quote),
        null_text=CONVERTED_NULL if kind in CONVERTED_KINDS else null_texts[0],
        encoding_name=declared.get("encoding", "utf-8"),
        has_record_numbers=declared.get("record_number", False),
        has_header=declared.get("header", True),
        names=columns if isinstance(columns, list) else None,
        renamed=columns if isinstance(columns, dict) else {},
        skip_lines=declared.get("skip_lines", 0),
        comment=declared.get("comment", ""),
        keep_blank_lines=declared.get("blank_lines") == "keep",
        pad=declared.get("ragged") == "pad",
        trim=declared.get("trim", False),
    )
    problems = list(copy_format.problems())
    if problems:
        raise SourceError("\n".join(f"{where}.{problem}" for problem in problems))
    return Bronze(
        path=declared["path"],
        copy_format=copy_format,
        null_texts=null_texts,
        delivers=declared.get("delivers", "changes"),
        has_manifest=declared.get("manifest", False),
    )


def _unusable(declared: dict[str, Any]) -> Iterator[str]:
    """Say what is declared that is not known, of another type, or of no use for the format, a sentence each."""
    for key, value in declared.items():
        accepted = DECLARABLE.get(key)
        if accepted is None:
            yield f"{key} is not known. Use: {', '.join(DECLARABLE)}."
        elif isinstance(accepted, tuple) and isinstance(accepted[0], str):
            if value not in accepted:
                yield f"{key} is {value!r}. Use: {', '.join(map(str, accepted))}."
        elif isinstance(value, bool) != (accepted is bool) or not isinstance(value, accepted):  # type: ignore[arg-type]
            remedy = {bool: "Use true or false.", int: "Use a number."}.get(accepted, "Put it in quotes.")  # type: ignore[arg-type]
            yield f"{key} is {value!r}. {remedy}"
    if declared.get("format", "csv") != "csv":
        known = [key for key in declared if key in DECLARABLE]
        yield from (f"{key} is for csv only. Remove it." for key in known if key not in NOT_FOR_CSV_ALONE)
    if declared.get("format") in CONVERTED_KINDS:
        wrong = [key for key in ("encoding", "null_text") if key in declared]
        yield from (f"{key} is not for {declared['format']}. Remove it." for key in wrong)
    texts = [*_texts(declared.get("null_text")), *_texts(declared.get("columns"))]
    if not all(isinstance(text, str) for text in texts) or declared.get("null_text") == []:
        yield "null_text and columns take texts. Put each in quotes."
    if declared.get("manifest") and declared.get("delivers") == "partitions":
        yield "manifest is not for `delivers: partitions`. Remove it."
    if isinstance(declared.get("skip_lines"), int) and declared["skip_lines"] < 0:
        yield f"skip_lines is {declared['skip_lines']}. Use a number of lines."


def _texts(declared: object) -> list[object]:
    if isinstance(declared, dict):
        return [*declared.keys(), *declared.values()]
    return declared if isinstance(declared, list) else []
