"""The text of a source: its sources YAML, which lists the raw columns with the types that staging casts them to."""

import re
from collections.abc import Iterator

from loaders.declare.declaration import Declaration
from loaders.declare.types import ColumnType

FRESHNESS = (
    "config:",
    '  loaded_at_query: "{{ last_landed_at(this) }}"',
    "  freshness:",
    "    warn_after: {count: 7, period: day}",
)
LINEAGE = {"_load_id": "landed_load_id", "_file_id": "landed_file_id", "_record_number": "record_number"}


def source_text(made: Declaration) -> str:
    """Return the head of a sources YAML, to be followed by its tables."""
    lines = [
        f"- name: {made.source}",
        f"  description: What {made.source} delivers.",
        "  schema: staging",
        *(f"  {line}" for line in FRESHNESS),
        "  tables:",
    ]
    return "sources:\n" + "".join(f"  {line}\n" for line in lines)


def table_text(made: Declaration, *, indent: int, has_freshness: bool) -> str:
    """Return the table's entry in the list of a source's tables; `has_freshness` tells whether the source says it."""
    freshness = [] if has_freshness else FRESHNESS[1:]
    lines = [
        f"- name: {made.table}",
        f"  identifier: {made.source}__{made.table}",
        f"  description: One row per landed record of {made.name}, as text; a record delivered again is here again.",
        "  config:",
        *(f"  {line}" for line in freshness),
        "    meta:",
        "      bronze:",
        *(f"        {key}: {value}" for key, value in _bronze(made)),
        "  # The staging model casts by these types, the core model has its own in its contract.",
        "  columns:",
    ]
    for one in made.types:
        lines.append(f"    - name: {scalar(one.column.name)}")
        if one.column.original != one.column.name:
            lines.append(f"      description: {in_quotes(f'{one.column.original} in the file.')}")
        lines.append(f"      data_type: {one.cast.data_type}")
        if meta := ", ".join(f"{key}: {value}" for key, value in _meta(one, made.sample.format)):
            lines.append(f"      config: {{meta: {{{meta}}}}}")
    for name, block in LINEAGE.items():
        lines += [f"    - name: {name}", f"      description: \"{{{{ doc('{block}') }}}}\""]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _bronze(made: Declaration) -> Iterator[tuple[str, str]]:
    sample = made.sample
    yield "path", scalar(made.path)
    yield "format", sample.format
    if sample.delimiter != ",":
        yield "delimiter", in_quotes(sample.delimiter)
    if sample.quote != '"':
        yield "quote", in_quotes(sample.quote)
    if sample.escape != sample.quote:
        yield "escape", in_quotes(sample.escape)
    if not sample.has_header:
        yield "header", "false"
    if sample.encoding != "utf-8":
        yield "encoding", sample.encoding
    # Of two records of one file with the same key, the later one counts.
    yield "record_number", "true"


def _meta(one: ColumnType, file_format: str) -> Iterator[tuple[str, str]]:
    if file_format == "jsonl" and one.column.original != one.column.name:
        yield "field", in_quotes(one.column.original)
    if one.cast.cast:
        yield "cast", one.cast.cast
    if one.null_texts:
        texts = [in_quotes(text) for text in one.null_texts]
        yield "null_text", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    if one.trim:
        yield "trim", "true"
    if one.failures:
        yield "max_cast_failures", str(one.failures)


def scalar(text: str) -> str:
    """Return a text as YAML has it, in quotes where it would be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    is_word = text.lower() in ("true", "false", "yes", "no", "y", "n", "on", "off", "null", "none")
    return text if is_plain and not is_word else in_quotes(text)


def in_quotes(text: str) -> str:
    """Return a text in YAML's double quotes; braces are spaced, because dbt reads a description as a template."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
    )
    return '"' + "".join(f"\\x{ord(one):02x}" if ord(one) < 32 else one for one in escaped) + '"'
