"""The texts of a declaration's models: SQL that is a macro call or two, and YAML with contract and tests."""

from collections.abc import Iterator

from loaders.declare.declaration import Declaration
from loaders.declare.source_text import in_quotes, scalar
from loaders.declare.words import as_identifier, needs_quotes

# PostgreSQL's longest identifier: dbt cuts a test's longer name and puts a hash behind it.
MAX_TEST_NAME_LENGTH = 63


def staging_sql(made: Declaration) -> str:
    """Return the staging model: the casts that the source's columns declare, and the order of its files."""
    source = f"source('{made.source}', '{made.table}')"
    return f"""with

source as (
    {{# render(), because `--empty` must not leave a view behind that reads nothing #}}
    select * from {{{{ {source}.render() }}}}
    where {{{{ complete_loads_only({source}) }}}}
),

files as (
    {{{{ file_versions({source}) }}}}
),

renamed as (
    select
        {{{{ staging_columns('{made.source}', '{made.table}') }}}}
    from source
    inner join files on source._file_id = files._file_id
)

select * from renamed
"""


def staging_yaml(made: Declaration) -> str:
    """Return the staging model's YAML: its columns are the source's."""
    return f"""models:
  - name: {made.staging_model}
    description: >
      One row per landed record of a complete load, cast as the columns of the source {made.name} declare; a value that
      its cast does not take is NULL. It has no key: a record delivered again is here again.
    data_tests:
      - declared_casts_keep_values:
          name: declared_casts_keep_values_{made.staging_model.removeprefix("stg_")}
          arguments: {{source_name: {made.source}, table_name: {made.table}}}
"""


def core_sql(made: Declaration) -> str:
    """Return the core model: the latest version of each key, in the columns of the contract."""
    # dbt puts the columns of an index into its SQL as they are.
    indexed = f"[{_identifiers(made.key)}]" if any(map(needs_quotes, made.key)) else "key"
    return f"""{{% set key = [{_quoted_list(made.key)}] %}}

{{{{ config(unique_key=key, indexes=[{{'columns': {indexed}, 'unique': true}}]) }}}}

{{{{ latest_versions('{made.source}', '{made.table}', key) }}}}
"""


def core_yaml(made: Declaration) -> str:
    """Return the core model's contract and the tests of its key."""
    unique = ["unique"] if len(made.key) == 1 else []
    lines = [
        "models:",
        f"  - name: {made.core_model}",
        f"    description: One row per {_listed(made.key)}, the latest version that a complete load has landed.",
        "    data_tests:",
        "      - has_the_records_landed",
        *_key_test(made.core_model, made.key),
        "    columns:",
    ]
    for one in made.types:
        lines += _column(one.column.name, one.cast.data_type, made.name)
        if one.column.name in made.key:
            lines += ["        constraints:", "          - type: not_null"]
            lines.append(f"        data_tests: [{', '.join([*unique, 'not_null'])}]")
    for name, block, data_type in (
        ("_load_id", "core_load_id", "integer"),
        ("_inserted_at", "inserted_at", "timestamptz"),
        ("_updated_at", "updated_at", "timestamptz"),
    ):
        lines += [f"      - name: {name}", f"        description: \"{{{{ doc('{block}') }}}}\""]
        lines += [f"        data_type: {data_type}"]
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
    lines = [
        "models:",
        f"  - name: {made.mart}",
        f"    description: One row per {_listed(made.by)}, with the number of rows of {made.core_model}.",
        "    data_tests:",
        "      - sums_to_rows:",
        f"          name: {f'{made.mart}_sums_to_rows'[:MAX_TEST_NAME_LENGTH]}",
        f"          arguments: {{column: row_count, of: ref('{made.core_model}')}}",
        *_key_test(made.mart, made.by),
        "    columns:",
    ]
    for name in made.by:
        one = made.type_of(name)
        lines += _column(name, one.cast.data_type, made.core_model)
        tests = [*(["unique"] if len(made.by) == 1 else []), *([] if one.has_null else ["not_null"])]
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
    return f"[{', '.join(scalar(as_identifier(name)) for name in names)}]"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _key_test(model: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of the test that the columns together are unique; of one column, the column has it."""
    if len(columns) > 1:
        name = f"unique_{model}_{'_'.join(columns)}"[:MAX_TEST_NAME_LENGTH]
        yield "      - unique_combination_of_columns:"
        yield f"          name: {name}"
        yield f"          arguments: {{combination_of_columns: {_yaml_list(columns)}}}"


def _column(name: str, data_type: str, of: str) -> Iterator[str]:
    yield f"      - name: {scalar(name)}"
    yield f"        description: {in_quotes(f'`{name}` of {of}.')}"
    yield f"        data_type: {data_type}"
    if needs_quotes(name):
        yield "        quote: true"
