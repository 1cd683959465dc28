{{
    config(
        incremental_strategy='upsert_elements',
        unique_key=['member_id', 'contact_id'],
        meta={'parent_key': 'member_id'},
        indexes=[
            {'columns': ['member_id', 'contact_id'], 'unique': true}
        ]
    )
}}

with

contacts as (
    select * from {{ ref('stg_evo__member_contacts') }}
    where {{ pending_loads('evo', 'members') }}
),

latest_contacts as (
    {{ latest_elements(
        'contacts',
        parent_key='member_id',
        unique_key=['member_id', 'contact_id'],
        columns=[
            'member_id',
            'contact_id',
            'contact_type',
            'description',
            'ddi',
            '_load_id'
        ]
    ) }}
),

gym_member_contacts as (
    select
        member_id,
        contact_id,
        contact_type,
        description,
        ddi,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_contacts
)

select * from gym_member_contacts
