{{ config(indexes=[{'columns': ['column_name'], 'unique': true}]) }}

{% set columns = ['name', 'age', 'is_married', 'city', 'state', 'country'] %}

with

people as (
    select * from {{ ref('people') }}
),

counts as (
    select
        {% for column in columns -%}
        count(*) - count({{ column }}) as {{ column }}_missing,
        {% endfor -%}
        count(*) as person_count
    from people
),

missing_values as (
    {% for column in columns -%}
    select
        '{{ column }}' as column_name,
        {{ column }}_missing as missing_count,
        person_count
    from counts
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from missing_values
