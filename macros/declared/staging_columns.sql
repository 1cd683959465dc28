{#
    Render the columns of a staging model: the source's, each by the cast that the source's YAML
    declares, then lineage.
#}
{% macro staging_columns(source_name, table_name) %}
    {% set raw_table = source(source_name, table_name) %}
    {% if not execute %}
        {{ return('*') }}
    {% endif %}
    {% do check_is_built(
        raw_table,
        'No file of ' ~ source_name ~ '.' ~ table_name ~ ' has landed yet: run `python -m loaders load '
        ~ source_name ~ '.' ~ table_name ~ '` first.'
    ) %}
    {% set rendered = [] %}
    {% for column in declared_columns(source_name, table_name) %}
        {% set name = adapter.quote(column.name) %}
        {% do rendered.append(column.cast if column.cast == name else column.cast ~ ' as ' ~ name) %}
    {% endfor %}
    {{ return((rendered + lineage_columns()) | join(',\n        ')) }}
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
