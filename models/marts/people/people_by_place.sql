{{ config(indexes=[{'columns': ['country', 'state'], 'unique': true}]) }}

with

people as (
    select * from {{ ref('people') }}
),

people_by_place as (
    select
        coalesce(country, 'unknown') as country,
        coalesce(state, 'unknown') as state,
        count(*) as person_count
    from people
    group by 1, 2
)

select * from people_by_place
