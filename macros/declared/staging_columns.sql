{#
    Render the columns of a staging model, out of its CTEs `source` and `files`: the source's, each
    by the cast that the source's YAML declares, then lineage and the version of the record.
#}
{% macro staging_columns(source_name, table_name) %}
    {% set raw_table = source(source_name, table_name) %}
    {% if not execute %}
        {{ return('*') }}
    {% endif %}
    {% do ingot.check_is_built(
        raw_table,
        'No file of ' ~ source_name ~ '.' ~ table_name ~ ' has landed yet: run `'
        ~ ingot.loader_command() ~ ' load ' ~ source_name ~ '.' ~ table_name ~ '` first.'
    ) %}
    {% set rendered = [] %}
    {% for column in ingot.declared_columns(source_name, table_name) %}
        {% set name = adapter.quote(column.name) %}
        {% do rendered.append(column.cast if column.cast == name else column.cast ~ ' as ' ~ name) %}
    {% endfor %}
    {% for name in ingot.lineage_columns() %}
        {% do rendered.append('source.' ~ name) %}
    {% endfor %}
    {% do rendered.append('files._run_id') %}
    {% do rendered.append('files._first_load_id') %}
    {% do rendered.append(ingot.record_version('files', 'source') ~ ' as _version') %}
    {{ return(rendered | join(',\n        ')) }}
{% endmacro %}


{#
    Stop a model that is about to be built from a relation that does not exist, with the remedy in
    place of PostgreSQL's error. What compiles only (dbt compile, docs, the linter) needs none.
#}
{% macro check_is_built(relation, remedy) %}
    {% set builds = flags.WHICH in ('run', 'build') and model.resource_type == 'model' %}
    {% if execute and builds and not load_relation(relation) %}
        {{ exceptions.raise_compiler_error(remedy) }}
    {% endif %}
{% endmacro %}
