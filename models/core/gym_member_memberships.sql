{{
    config(
        incremental_strategy='upsert_elements',
        unique_key='member_membership_id',
        meta={'parent_key': 'member_id'},
        indexes=[
            {'columns': ['member_membership_id'], 'unique': true},
            {'columns': ['member_id']},
            {'columns': ['membership_status']}
        ]
    )
}}

with

memberships as (
    select * from {{ ref('stg_evo__member_memberships') }}
    where {{ pending_loads('evo', 'members') }}
),

latest_memberships as (
    {{ latest_elements(
        'memberships',
        parent_key='member_id',
        unique_key=['member_membership_id'],
        columns=[
            'member_id',
            'member_membership_id',
            'membership_id',
            'name',
            'start_date',
            'end_date',
            'membership_status',
            'cancel_date',
            'sale_id',
            'sale_date',
            'value_next_month',
            'loyalty_end_date',
            '_load_id'
        ]
    ) }}
),

gym_member_memberships as (
    select
        member_id,
        member_membership_id,
        membership_id,
        name,
        start_date,
        end_date,
        membership_status,
        cancel_date,
        sale_id,
        sale_date,
        value_next_month,
        loyalty_end_date,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_memberships
)

select * from gym_member_memberships
