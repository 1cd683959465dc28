{{ config(indexes=[{'columns': ['day'], 'unique': true}]) }}

with

{# Read twice: PostgreSQL would copy it whole into a temporary file. #}
entries as not materialized (
    select * from {{ ref('gym_entries') }}
),

{# Counted from the latest entry and not from today, so that the same data give the same rows. #}
last_days as (
    select latest_day - day_number::integer as day
    from (
        select (max(entry_date) at time zone 'UTC')::date as latest_day
        from entries
    ) as latest
    cross join generate_series(0, 29) as series (day_number)
    where latest_day is not null
),

counted_entries as (
    select
        (entry_date at time zone 'UTC')::date as day,
        count(*) as entry_count,
        count(distinct member_id) as member_count
    from entries
    where entry_date >= (select min(last_days.day) from last_days)::timestamp at time zone 'UTC'
    group by 1
),

entries_by_day as (
    select
        last_days.day,
        coalesce(counted_entries.entry_count, 0) as entry_count,
        coalesce(counted_entries.member_count, 0) as member_count
    from last_days
    left join counted_entries on last_days.day = counted_entries.day
)

select * from entries_by_day
