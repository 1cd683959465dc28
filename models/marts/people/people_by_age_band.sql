{{ config(indexes=[{'columns': ['age_band', 'marital_status'], 'unique': true}]) }}

with

people as (
    select * from {{ ref('people') }}
),

banded_people as (
    select
        case
            when age between 0 and 150 then (age / 10 * 10) || '-' || (age / 10 * 10 + 9)
            else 'unknown'
        end as age_band,
        case
            when is_married then 'married'
            when not is_married then 'not married'
            else 'unknown'
        end as marital_status
    from people
),

people_by_age_band as (
    select
        age_band,
        marital_status,
        count(*) as person_count
    from banded_people
    group by age_band, marital_status
)

select * from people_by_age_band
