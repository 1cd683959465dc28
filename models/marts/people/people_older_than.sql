{{ config(indexes=[{'columns': ['age'], 'unique': true}]) }}

with

people as (
    select * from {{ ref('people') }}
),

people_by_age as (
    select
        age,
        count(*) as person_count
    from people
    where age is not null
    group by age
),

ages as (
    select age
    from generate_series(0, 150) as series (age)
),

older_counts as (
    select
        ages.age,
        coalesce(sum(people_by_age.person_count), 0)::bigint as older_count
    from ages
    left join people_by_age on ages.age < people_by_age.age
    group by ages.age
)

select * from older_counts
