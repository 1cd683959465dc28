{#
    Render `expression` (text) cast to `type` as the type's input function reads it, whatever the
    spelling; NULL where that would raise an error.
#}
{% macro checked_input(expression, type) -%}
    {%- if ingot.has_input_check() -%}
        case when pg_input_is_valid({{ expression }}, '{{ type }}') then {{ expression }}::{{ type }} end
    {%- else -%}
        ops.try_cast({{ expression }}, null::{{ type }})
    {%- endif -%}
{%- endmacro %}
