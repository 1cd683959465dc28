{#
    Return the columns that a source table's YAML declares, without lineage, in the order of the
    YAML: a list of dictionaries with name, value (the raw text, NULL where there is none), cast
    (the SQL that reads it) and max_cast_failures.

    `graph` has the source only when a node is executed, and never in a unit test: there give the
    list by `overrides: {macros: {declared_columns: [...]}}`.
#}
{% macro declared_columns(source_name, table_name) %}
    {% if model.resource_type == 'unit_test' %}
        {{ exceptions.raise_compiler_error(
            'A unit test of a model by staging_columns or latest_versions knows no source: give it '
            ~ 'the columns by overrides: {macros: {declared_columns: [{name: ..., cast: ...}]}}.'
        ) }}
    {% endif %}
    {% set table = declared_table(source_name, table_name) %}
    {% set is_json = (table.config.meta or table.meta).bronze.format == 'jsonl' %}
    {% set columns = [] %}
    {% for column in table.columns.values() if column.name not in lineage_columns() %}
        {% set meta = column.config.meta or column.meta %}
        {% set type = column.data_type or 'text' %}
        {% if is_json %}
            {% set operator = '->' if type in ('json', 'jsonb') else '->>' %}
            {% set raw = "(raw " ~ operator ~ " '" ~ (meta.field or column.name) | replace("'", "''") ~ "')" %}
        {% else %}
            {% set raw = adapter.quote(column.name) %}
        {% endif %}
        {% set raw = 'btrim(' ~ raw ~ ')' if meta.trim else raw %}
        {% set value = value_of(raw, meta.null_text, is_document=is_json and type in ('json', 'jsonb')) %}
        {% do columns.append({
            'name': column.name,
            'type': type,
            'value': value,
            'cast': declared_cast(value, type, meta.cast, is_json, source_name ~ '.' ~ table_name ~ '.' ~ column.name),
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


{# Render a raw value, NULL where it is empty or one of the texts that stand for no value. #}
{% macro value_of(raw, null_text=none, is_document=false) %}
    {% set texts = [null_text] if null_text is string else (null_text or []) %}
    {% set value = namespace(sql=raw) %}
    {% for text in texts + ([] if is_document else ['']) %}
        {% set value.sql = 'nullif(' ~ value.sql ~ ", '" ~ text | replace("'", "''") ~ "')" %}
    {% endfor %}
    {% if is_document %}
        {% set value.sql = 'nullif(' ~ raw ~ ", 'null')" %}
    {% endif %}
    {{ return(value.sql) }}
{% endmacro %}
