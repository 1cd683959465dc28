{#
    Render the array of the objects in a jsonb array, in their order: jsonb_to_recordset raises an
    error on anything else. A lone object stands for an array of one.
#}
{% macro json_objects(expression) -%}
    jsonb_path_query_array({{ expression }}, '$[*] ? (@.type() == "object")')
{%- endmacro %}
