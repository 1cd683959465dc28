{#
    Render `field` of the first object in a jsonb array whose `key` is `value`, of those in which the
    field is a text that is not empty; NULL where there is none.
#}
{% macro json_first(array, key, value, field) -%}
    {{ adapter.dispatch('json_first', 'ingot')(array, key, value, field) }}
{%- endmacro %}


{% macro postgres__json_first(array, key, value, field) -%}
    nullif(jsonb_path_query_first(
        {{ array }}, '$[*] ? (@.{{ key }} == "{{ value }}").{{ field }} ? (@ != "" && @ != null)'
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
