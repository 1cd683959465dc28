{{
    config(
        unique_key='entry_id',
        indexes=[
            {'columns': ['entry_id'], 'unique': true},
            {'columns': ['member_id']},
            {'columns': ['branch_id']},
            {'columns': ['entry_date']}
        ],
        meta={'fillfactor': 100}
    )
}}

with

entries as (
    select * from {{ ref('stg_evo__entries') }}
    where {{ pending_loads('evo', 'entries') }}
),

latest_versions as (
    select {{ distinct_on('entry_id') }} *
    from entries
    where entry_id is not null
    {{ first_by('entry_id', '_version desc') }}
),

gym_entries as (
    select
        entry_id,
        member_id,
        branch_id,
        entry_date,
        register_date,
        device,
        entry_action,
        membership_id,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from gym_entries
