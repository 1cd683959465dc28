{#
    Render the array of the objects in a jsonb array, in their order: jsonb_to_recordset raises an
    error on anything else. A lone object stands for an array of one.

    Nearly every array is one of objects alone: to look at it costs half of making it anew. Strict,
    because a lax filter looks into arrays within the array.
#}
{% macro json_objects(expression) -%}
    case
        when {{ expression }} @> '[]' and not {{ expression }} @? 'strict $[*] ? (@.type() != "object")'
            then {{ expression }}
        else jsonb_path_query_array({{ expression }}, '$[*] ? (@.type() == "object")')
    end
{%- endmacro %}
