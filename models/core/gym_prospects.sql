{{
    config(
        unique_key='prospect_id',
        indexes=[
            {'columns': ['prospect_id'], 'unique': true}
        ]
    )
}}

with

prospects as (
    select * from {{ ref('stg_evo__prospects') }}
    where {{ pending_loads('evo', 'prospects') }}
),

latest_versions as (
    select {{ distinct_on('prospect_id') }} *
    from prospects
    where prospect_id is not null
    {{ first_by('prospect_id', '_version desc') }}
),

gym_prospects as (
    select
        prospect_id,
        branch_id,
        first_name,
        last_name,
        email,
        cellphone,
        document,
        gender,
        status,
        origin,
        register_date,
        conversion_date,
        employee_consultant_id,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from gym_prospects
