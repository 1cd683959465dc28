-- Each mart accounts for every person of core.
with

expected as (
    select
        count(*) as person_count,
        count(age) as aged_count
    from {{ ref('people') }}
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
        max(person_count) as mart_count
    from {{ ref('people_quality') }}
    union all
    -- Whoever has an age is older than 0, or is not.
    select
        'people_older_than' as mart_name,
        older.older_count + count(people.age) + expected.person_count - expected.aged_count as mart_count
    from {{ ref('people_older_than') }} as older
    cross join expected
    left join {{ ref('people') }} as people on older.age >= people.age
    where older.age = 0
    group by older.older_count, expected.person_count, expected.aged_count
)

select
    counted.mart_name,
    counted.mart_count,
    expected.person_count
from counted
cross join expected
where counted.mart_count is distinct from expected.person_count
