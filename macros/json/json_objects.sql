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
    arrays within the array. Immutable, because Citus pushes nothing else down.
#}
{% macro postgres__json_objects(expression) -%}
    jsonb_array_elements(case
        when not {{ expression }} @> '[]'
            then jsonb_path_query_array({{ expression }}, 'strict $ ? (@.type() == "object")')
        when {{ expression }} @? 'strict $[*] ? (@.type() != "object")'
            then jsonb_path_query_array({{ expression }}, 'strict $[*] ? (@.type() == "object")')
        else {{ expression }}
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
