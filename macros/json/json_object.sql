{#
    Render a jsonb expression that is an object in every row: what is none becomes the empty one.
    Only an object contains the empty object, and to ask for that costs half of jsonb_typeof.
#}
{% macro json_object(expression) -%}
    case when {{ expression }} @> '{}' then {{ expression }} else '{}' end
{%- endmacro %}
