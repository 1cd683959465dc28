{#
    Render the objects in a jsonb array, in their order, as rows of a join: what is no object is left
    out. A lone object stands for an array of one.
#}
{% macro json_objects(expression) -%}
    {{ adapter.dispatch('json_objects', 'ingot')(expression) }}
{%- endmacro %}


{#
    jsonb_to_record raises an error on anything but objects. Nearly every array is one of objects
    alone: to look at it costs half of making it anew. Strict, because a lax filter looks into
    arrays within the array.
#}
{% macro postgres__json_objects(expression) -%}
    jsonb_array_elements(case
        when {{ expression }} @> '[]' and not {{ expression }} @? 'strict $[*] ? (@.type() != "object")'
            then {{ expression }}
        else jsonb_path_query_array(
            case when {{ expression }} @> '[]' then {{ expression }} else jsonb_build_array({{ expression }}) end,
            'strict $[*] ? (@.type() == "object")'
        )
    end)
{%- endmacro %}


{% macro duckdb__json_objects(expression) -%}
    unnest(list_filter(
        case json_type({{ expression }})
            when 'ARRAY' then json_extract({{ expression }}, '$[*]')
            when 'OBJECT' then [{{ expression }}]
        end,
        lambda element: json_type(element) = 'OBJECT'
    ))
{%- endmacro %}
