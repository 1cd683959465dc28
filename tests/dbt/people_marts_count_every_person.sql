-- Each mart accounts for every person of core.
with

people as (
    select * from {{ ref('people') }}
),

expected as (
    select
        count(*) as person_count,
        count(*) filter (where age > 0) as older_count
    from people
),

counted as (
    select
        'people_by_place' as mart_name,
        coalesce(sum(person_count), 0) as mart_count
    from {{ ref('people_by_place') }}
    union all
    select
        'people_by_age_band' as mart_name,
        coalesce(sum(person_count), 0) as mart_count
    from {{ ref('people_by_age_band') }}
    union all
    select
        'people_quality' as mart_name,
        coalesce(max(person_count), 0) as mart_count
    from {{ ref('people_quality') }}
    union all
    select
        'people_older_than' as mart_name,
        coalesce(max(older_count), 0) as mart_count
    from {{ ref('people_older_than') }}
)

select
    counted.mart_name,
    counted.mart_count,
    expected.person_count,
    expected.older_count
from counted
cross join expected
where counted.mart_count <> case
    when counted.mart_name = 'people_older_than' then expected.older_count
    else expected.person_count
end
