"""The texts of a declaration's files: the source's YAML, and SQL and YAML of its models."""

import re
from collections.abc import Iterator

from loaders.declare.declaration import Declaration
from loaders.declare.types import ColumnType
from loaders.declare.words import as_identifier, needs_quotes

LOAD_ID = "The load that the row was written from, a key of ops.loads."


def source_text(made: Declaration) -> str:
    """Return the head of a sources YAML, to be followed by its tables."""
    return (
        "sources:\n"
        f"  - name: {made.source}\n"
        f"    description: What {made.source} delivers.\n"
        "    schema: staging\n"
        "    tables:\n"
    )


def table_text(made: Declaration, *, schema: str, indent: int) -> str:
    """Return the table's entry in the list of a source's tables."""
    lines = [
        f"- name: {made.table}",
        f"  identifier: {made.source}__{made.table}",
        f"  description: One row per landed record of a {made.table} file, as text; a record delivered again is here again.",
        "  config:",
        "    meta:",
        "      bronze:",
        *(f"        {key}: {value}" for key, value in _bronze(made)),
        "    loaded_at_query: |",
        "      select max(finished_at)",
        "      from ops.loads",
        "      where",
        f"          table_schema = '{schema}'",
        f"          and table_name = '{made.source}__{made.table}'",
        "          and status = 'complete'",
        "    freshness:",
        "      warn_after: {count: 7, period: day}",
        "  # The staging model casts by these types.",
        "  columns:",
    ]
    for one in made.types:
        lines += [f"    - name: {_scalar(one.column.name)}", f"      description: {_described(one)}"]
        lines += [f"      data_type: {one.cast.data_type}"]
        if meta := ", ".join(f"{key}: {value}" for key, value in _meta(one, made.sample.format)):
            lines.append(f"      config: {{meta: {{{meta}}}}}")
    for name, description in _lineage():
        lines += [f"    - name: {name}", f"      description: {description}"]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _bronze(made: Declaration) -> Iterator[tuple[str, str]]:
    sample = made.sample
    yield "path", _scalar(made.path)
    yield "format", sample.format
    if sample.delimiter != ",":
        yield "delimiter", _in_quotes(sample.delimiter)
    if sample.quote != '"':
        yield "quote", _in_quotes(sample.quote)
    if sample.encoding != "utf-8":
        yield "encoding", sample.encoding
    # Of two records of one file with the same key, the later one counts.
    yield "record_number", "true"


def _meta(one: ColumnType, file_format: str) -> Iterator[tuple[str, str]]:
    if file_format == "jsonl" and one.column.original != one.column.name:
        yield "field", _in_quotes(one.column.original)
    if one.cast.cast:
        yield "cast", one.cast.cast
    if one.null_texts:
        texts = [_in_quotes(text) for text in one.null_texts]
        yield "null_text", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    if one.trim:
        yield "trim", "true"
    if one.failures:
        yield "max_cast_failures", str(one.failures)


def _described(one: ColumnType) -> str:
    return _in_quotes(f"{one.column.original} in the file.")


def _lineage() -> Iterator[tuple[str, str]]:
    yield "_load_id", "The load that landed the record, a key of ops.loads."
    yield "_file_id", "The file that held the record, a key of ops.files."
    yield "_record_number", "The record's number in its file."


def staging_sql(made: Declaration) -> str:
    """Return the staging model: two CTEs, with the casts that the source's columns declare."""
    source = f"source('{made.source}', '{made.table}')"
    return f"""with

source as (
    {{# render(), because `--empty` must not leave a view behind that reads nothing #}}
    select * from {{{{ {source}.render() }}}}
    where {{{{ complete_loads_only({source}) }}}}
),

renamed as (
    select
        {{{{ staging_columns('{made.source}', '{made.table}') }}}}
    from source
)

select * from renamed
"""


def staging_yaml(made: Declaration) -> str:
    """Return the staging model's YAML: its columns are the source's."""
    return f"""models:
  - name: {made.staging_model}
    description: >
      One row per landed record of a complete load, cast as the source's columns declare; a value that its cast does
      not take is NULL. It has no key: a record delivered again is here again.
    data_tests:
      - declared_casts_keep_values:
          arguments: {{source_name: {made.source}, table_name: {made.table}}}
"""


def core_sql(made: Declaration) -> str:
    """Return the core model: the latest version of each key, in the columns of the contract."""
    key = f"'{made.key[0]}'" if len(made.key) == 1 else f"[{_quoted_list(made.key)}]"
    return f"""{{{{
    config(
        unique_key={key},
        indexes=[{{'columns': [{_identifiers(made.key)}], 'unique': true}}]
    )
}}}}

{{{{ latest_versions('{made.source}', '{made.table}') }}}}
"""


def core_yaml(made: Declaration) -> str:
    """Return the core model's contract and the tests of its key."""
    is_single = len(made.key) == 1
    lines = [
        "models:",
        f"  - name: {made.core_model}",
        f"    description: One row per {_listed(made.key)}, the latest version that a complete load has landed.",
        "    data_tests:",
    ]
    if not is_single:
        lines += ["      - unique_together:", f"          arguments: {{columns: {_yaml_list(made.key)}}}"]
    lines += [
        "      - has_every_key_landed:",
        f"          arguments: {{staging: ref('{made.staging_model}'), columns: {_yaml_list(made.key)}}}",
        "    columns:",
    ]
    for one in made.types:
        name = one.column.name
        lines += [f"      - name: {_scalar(name)}", f"        description: {_described(one)}"]
        lines += [f"        data_type: {one.cast.data_type}"]
        if needs_quotes(name):
            lines.append("        quote: true")
        if name in made.key:
            lines += ["        constraints:", "          - type: not_null"]
            lines.append(f"        data_tests: [{'unique, ' if is_single else ''}not_null]")
    for name, data_type, description in (
        ("_load_id", "integer", LOAD_ID),
        ("_inserted_at", "timestamptz", "When the row was first written, since the last full refresh."),
        ("_updated_at", "timestamptz", "When some value of the row last changed."),
    ):
        lines += [f"      - name: {name}", f"        description: {description}", f"        data_type: {data_type}"]
    return "\n".join(lines) + "\n"


def mart_sql(made: Declaration) -> str:
    """Return the first mart: how many rows core has by the columns that were named."""
    columns = [as_identifier(column) for column in made.by]
    selected = "".join(f"        {column},\n" for column in columns)
    return f"""{{{{ config(indexes=[{{'columns': [{_identifiers(made.by)}], 'unique': true}}]) }}}}

with

{made.core_model} as (
    select * from {{{{ ref('{made.core_model}') }}}}
),

{made.mart} as (
    select
{selected}        count(*) as row_count
    from {made.core_model}
    group by {", ".join(columns)}
)

select * from {made.mart}
"""


def mart_yaml(made: Declaration) -> str:
    """Return the first mart's contract and tests."""
    is_single = len(made.by) == 1
    lines = [
        "models:",
        f"  - name: {made.mart}",
        f"    description: One row per {_listed(made.by)}, with the number of rows of {made.core_model}.",
        "    data_tests:",
    ]
    if not is_single:
        lines += ["      - unique_together:", f"          arguments: {{columns: {_yaml_list(made.by)}}}"]
    lines += [
        "      - sums_to_rows:",
        f"          arguments: {{column: row_count, of: ref('{made.core_model}')}}",
        "    columns:",
    ]
    for name in made.by:
        one = made.type_of(name)
        lines += [f"      - name: {_scalar(name)}", f"        description: {_described(one)}"]
        lines += [f"        data_type: {one.cast.data_type}"]
        if needs_quotes(name):
            lines.append("        quote: true")
        tests = [*(["unique"] if is_single else []), *([] if one.has_null else ["not_null"])]
        if tests:
            lines.append(f"        data_tests: [{', '.join(tests)}]")
    lines += [
        "      - name: row_count",
        f"        description: Number of rows of {made.core_model}.",
        "        data_type: bigint",
        "        data_tests: [not_null]",
    ]
    return "\n".join(lines) + "\n"


def _quoted_list(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _identifiers(names: tuple[str, ...]) -> str:
    """Return names as dbt's indexes take them: as SQL has them."""
    return ", ".join(f"'{as_identifier(name)}'" for name in names)


def _yaml_list(names: tuple[str, ...]) -> str:
    return f"[{', '.join(_scalar(as_identifier(name)) for name in names)}]"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _scalar(text: str) -> str:
    """Return a text as YAML has it, in quotes where it would be read as something else."""
    is_plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    is_word = text.lower() in ("true", "false", "yes", "no", "y", "n", "on", "off", "null", "none")
    return text if is_plain and not is_word else _in_quotes(text)


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    # Jinja reads descriptions: braces in a column's name are no expression.
    escaped = "".join(f"\\x{ord(one):02x}" if ord(one) < 32 else one for one in escaped)
    return f'"{escaped}"'
