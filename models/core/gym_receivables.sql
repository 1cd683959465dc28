{{
    config(
        incremental_strategy='upsert_elements',
        unique_key='receivable_id',
        meta={'parent_key': 'sale_id'},
        indexes=[
            {'columns': ['receivable_id'], 'unique': true},
            {'columns': ['sale_id']}
        ]
    )
}}

with

receivables as (
    select * from {{ ref('stg_evo__receivables') }}
    where {{ pending_loads('evo', 'sales') }}
),

latest_receivables as (
    {{ latest_elements(
        'receivables',
        parent_key='sale_id',
        unique_key=['receivable_id'],
        columns=[
            'sale_id',
            'receivable_id',
            'due_date',
            'amount',
            'amount_paid',
            'payment_date',
            'status',
            'payment_method',
            '_load_id'
        ]
    ) }}
),

gym_receivables as (
    select
        sale_id,
        receivable_id,
        due_date,
        amount,
        amount_paid,
        payment_date,
        status,
        payment_method,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_receivables
)

select * from gym_receivables
