{#
    Render `field` of the first object in a jsonb array whose `key` is `value`, of those in which the
    field is a text that is not empty; NULL where there is none.
#}
{% macro json_first(array, key, value, field) -%}
    {{ adapter.dispatch('json_first', 'ingot')(array, key, value, field) }}
{%- endmacro %}


{# Strict, because a lax path looks into arrays within the array. #}
{% macro postgres__json_first(array, key, value, field) -%}
    {%- set wanted -%}
        ? (@.{{ key }} == "{{ value }}" && @.{{ field }} != "" && @.{{ field }} != null).{{ field }}
    {%- endset %}
    nullif(jsonb_path_query_first(
        {{ array }},
        case when {{ array }} @> '[]' then 'strict $[*] {{ wanted }}'::jsonpath else 'strict $ {{ wanted }}' end
    ) #>> '{}', '')
{%- endmacro %}


{% macro duckdb__json_first(array, key, value, field) -%}
    {%- set shape = '{"' ~ key ~ '": "VARCHAR", "' ~ field ~ '": "JSON"}' -%}
    list_filter(
        coalesce(
            json_transform({{ array }}, '[{{ shape }}]'),
            [json_transform({{ array }}, '{{ shape }}')]
        ),
        lambda element: element.{{ key }} = '{{ value }}'
            and json_type(element.{{ field }}) = 'VARCHAR' and element.{{ field }} <> '""'
    )[1].{{ field }} ->> '$'
{%- endmacro %}
