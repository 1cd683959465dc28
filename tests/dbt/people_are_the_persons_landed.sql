-- Core has each person of the loads that it has applied, once.
with

persons as (
    select * from {{ ref('stg_people__persons') }}
),

people as (
    select * from {{ ref('people') }}
),

applied_loads as (
    select load_id
    from ops.applied_loads
    where model = 'core.people'
),

landed as (
    select count(distinct persons.person_id) as person_count
    from persons
    inner join applied_loads on persons._load_id = applied_loads.load_id
),

built as (
    select count(*) as person_count
    from people
)

select
    landed.person_count as landed_count,
    built.person_count as built_count
from landed
cross join built
where landed.person_count <> built.person_count
