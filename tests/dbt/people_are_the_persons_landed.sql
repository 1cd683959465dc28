-- Core has each person of the loads that it has applied, once.
with

landed as (
    select count(distinct person_id) as landed_count
    from {{ ref('stg_people__persons') }}
    where _load_id in (select load_id from ops.applied_loads where model = 'core.people')
),

built as (
    select count(*) as built_count
    from {{ ref('people') }}
)

select
    landed_count,
    built_count
from landed
cross join built
where landed_count <> built_count
