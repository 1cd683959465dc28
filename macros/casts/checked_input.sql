{#
    Render `expression` (text) cast to `type` as the type's input function reads it, whatever the
    spelling; NULL where that would raise an error.
#}
{% macro checked_input(expression, type) -%}
    {{ adapter.dispatch('checked_input', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro postgres__checked_input(expression, type) -%}
    {%- if ingot.has_input_check() -%}
        case when pg_input_is_valid({{ expression }}, '{{ type }}') then {{ expression }}::{{ type }} end
    {%- else -%}
        ops.try_cast({{ expression }}, null::{{ type }})
    {%- endif -%}
{%- endmacro %}


{# DuckDB rounds '12.5' to 13; of what else its casts read, the callers' patterns let nothing through. #}
{% macro duckdb__checked_input(expression, type) -%}
    {%- if type in ('smallint', 'integer', 'bigint') -%}
        case when {{ ingot.plain_spelling(expression, type) }} then try_cast({{ expression }} as {{ type }}) end
    {%- else -%}
        try_cast({{ expression }} as {{ ingot.column_type(type) }})
    {%- endif -%}
{%- endmacro %}


{#
    Render the name by which the engine has a type of PostgreSQL's. DuckDB's `numeric` is
    decimal(18, 3), and rounds what has more digits.
#}
{% macro column_type(type) -%}
    {{ 'decimal(38, 9)' if target.type == 'duckdb' and type == 'numeric' else type }}
{%- endmacro %}
