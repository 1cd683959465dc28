{{
    config(
        unique_key='person_id',
        indexes=[{'columns': ['person_id'], 'unique': true}]
    )
}}

with

persons as (
    select * from {{ ref('stg_people__persons') }}
    where {{ pending_loads('people', 'persons') }}
),

latest_versions as (
    select {{ distinct_on('person_id') }}
        person_id,
        name,
        age,
        is_married,
        city,
        state,
        country,
        _load_id
    from persons
    where person_id is not null
    -- The content decides between two rows of one file, so that every build decides alike.
    {{ first_by(
        'person_id',
        '_version desc, name asc, age asc, is_married asc, city asc, state asc, country asc'
    ) }}
),

people as (
    select
        person_id,
        name,
        age,
        is_married,
        city,
        state,
        country,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from people
