{{
    config(
        incremental_strategy='upsert_elements',
        unique_key='sale_item_id',
        meta={'parent_key': 'sale_id'},
        indexes=[
            {'columns': ['sale_item_id'], 'unique': true},
            {'columns': ['sale_id']}
        ]
    )
}}

with

sale_items as (
    select * from {{ ref('stg_evo__sale_items') }}
    where {{ pending_loads('evo', 'sales') }}
),

latest_sale_items as (
    {{ latest_elements(
        'sale_items',
        parent_key='sale_id',
        unique_key=['sale_item_id'],
        columns=[
            'sale_id',
            'sale_item_id',
            'item_name',
            'item_type',
            'quantity',
            'unit_value',
            'total_value',
            '_load_id'
        ]
    ) }}
),

gym_sale_items as (
    select
        sale_id,
        sale_item_id,
        item_name,
        item_type,
        quantity,
        unit_value,
        total_value,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_sale_items
)

select * from gym_sale_items
