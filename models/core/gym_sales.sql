{{
    config(
        unique_key='sale_id',
        indexes=[
            {'columns': ['sale_id'], 'unique': true},
            {'columns': ['member_id']},
            {'columns': ['branch_id']},
            {'columns': ['sale_date']}
        ]
    )
}}

with

sales as (
    select * from {{ ref('stg_evo__sales') }}
    where {{ pending_loads('evo', 'sales') }}
),

latest_versions as (
    select {{ distinct_on('sale_id') }} *
    from sales
    where sale_id is not null
    {{ first_by('sale_id', '_version desc') }}
),

gym_sales as (
    select
        sale_id,
        branch_id,
        member_id,
        prospect_id,
        sale_date,
        total_value,
        discount_value,
        payment_status,
        removed,
        employee_id,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from gym_sales
