{#
    Return the columns that a source table's YAML declares, without lineage, in the order of the
    YAML: a list of dictionaries with name, value (the raw text, NULL where there is none), cast
    (the SQL that reads it) and max_cast_failures.

    `graph` has the source only when a node is executed, and never in a unit test: there give the
    list by `overrides: {macros: {ingot.declared_columns: [...]}}`.
#}
{% macro declared_columns(source_name, table_name) %}
    {% if model.resource_type == 'unit_test' %}
        {{ exceptions.raise_compiler_error(
            'A unit test of a model by staging_columns or latest_versions knows no source: give it '
            ~ 'the columns by overrides: {macros: {ingot.declared_columns: [{name: ..., cast: ...}]}}.'
        ) }}
    {% endif %}
    {% set table = ingot.declared_table(source_name, table_name) %}
    {% set bronze = (table.config.meta or table.meta).bronze %}
    {% set is_json = bronze.format == 'jsonl' %}
    {# The first of a list is COPY's own. #}
    {% set null_texts = bronze.null_text[1:] if bronze.null_text and bronze.null_text is not string else [] %}
    {% set columns = [] %}
    {% for column in table.columns.values() if column.name not in ingot.lineage_columns() %}
        {% set meta = column.config.meta or column.meta %}
        {% set type = column.data_type or 'text' %}
        {% if is_json %}
            {% set operator = '->' if type in ('json', 'jsonb') else '->>' %}
            {% set raw = "(raw " ~ operator ~ " '" ~ (meta.field or column.name) | replace("'", "''") ~ "')" %}
        {% else %}
            {% set raw = adapter.quote(column.name) %}
        {% endif %}
        {% set raw = 'btrim(' ~ raw ~ ')' if meta.trim else raw %}
        {% set value = ingot.value_of(
            raw, ingot.as_list(meta.null_text) + null_texts, is_document=is_json and type in ('json', 'jsonb')
        ) %}
        {% do columns.append({
            'name': column.name,
            'type': type,
            'value': value,
            'cast': ingot.declared_cast(
                value, type, meta.cast, is_json, source_name ~ '.' ~ table_name ~ '.' ~ column.name
            ),
            'max_cast_failures': meta.max_cast_failures or 0,
        }) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{# Return a source's table as the graph has it. #}
{% macro declared_table(source_name, table_name) %}
    {% set tables = graph.sources.values() | selectattr('source_name', 'equalto', source_name) %}
    {% for table in tables if table.name == table_name %}
        {{ return(table) }}
    {% endfor %}
    {{ exceptions.raise_compiler_error(
        "There is no source '" ~ source_name ~ '.' ~ table_name ~ "': name one that a _sources.yml declares."
    ) }}
{% endmacro %}


{% macro lineage_columns() %}
    {{ return(['_load_id', '_file_id', '_record_number']) }}
{% endmacro %}


{% macro as_list(value) %}
    {{ return([value] if value is string else (value or [])) }}
{% endmacro %}


{# Render a raw value, NULL where it is empty or one of the texts that stand for no value. #}
{% macro value_of(raw, null_texts, is_document=false) %}
    {% set value = namespace(sql=raw) %}
    {% for text in null_texts + ([] if is_document else ['']) %}
        {% set value.sql = 'nullif(' ~ value.sql ~ ", '" ~ text | replace("'", "''") ~ "')" %}
    {% endfor %}
    {% if is_document %}
        {% set value.sql = 'nullif(' ~ raw ~ ", 'null')" %}
    {% endif %}
    {{ return(value.sql) }}
{% endmacro %}
