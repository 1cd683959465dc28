{#
    Render a jsonb expression that is an object in every row: what is none becomes the empty one.
#}
{% macro json_object(expression) -%}
    {{ adapter.dispatch('json_object', 'ingot')(expression) }}
{%- endmacro %}


{# Only an object contains the empty object, and to ask for that costs half of jsonb_typeof. #}
{% macro postgres__json_object(expression) -%}
    case when {{ expression }} @> '{}' then {{ expression }} else '{}' end
{%- endmacro %}


{% macro duckdb__json_object(expression) -%}
    case when json_type({{ expression }}) = 'OBJECT' then {{ expression }} else '{}'::json end
{%- endmacro %}
