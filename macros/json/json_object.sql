{# Render a jsonb expression that is an object in every row: what is none becomes the empty one. #}
{% macro json_object(expression) -%}
    case when jsonb_typeof({{ expression }}) = 'object' then {{ expression }} else '{}' end
{%- endmacro %}
