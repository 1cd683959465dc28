{#
    dbt's query for the types of a contract, without its warning of numeric columns that have no
    precision: in PostgreSQL they keep every digit.
#}
{% macro postgres__get_empty_schema_sql(columns) %}
    {% set untyped = columns.values() | rejectattr('data_type') | map(attribute='name') | list %}
    {% if untyped %}
        {{ exceptions.column_type_missing(column_names=untyped) }}
    {% endif %}
    select
    {%- for column in columns.values() %}
        cast(null as {{ column.data_type }})
            as {{ adapter.quote(column.name) if column.quote else column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{% endmacro %}
