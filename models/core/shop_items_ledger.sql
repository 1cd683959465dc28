{{
    config(
        unique_key='entry_id',
        indexes=[
            {'columns': ['entry_id'], 'unique': true},
            {'columns': ['customer_id']}
        ]
    )
}}

with

items_ledger as (
    select * from {{ ref('stg_shop__items_ledger') }}
    where {{ pending_loads('shop', 'items_ledger') }}
),

latest_versions as (
    select {{ distinct_on('entry_id') }}
        entry_id,
        item_id,
        item_sku,
        qty_change,
        credit_change,
        customer_id,
        created_at,
        _load_id
    from items_ledger
    where entry_id is not null
    -- The content decides between two rows of one file, so that every build decides alike.
    {{ first_by(
        'entry_id',
        '_version desc, item_id asc, item_sku asc, qty_change asc, credit_change asc, '
        ~ 'customer_id asc, created_at asc'
    ) }}
),

shop_items_ledger as (
    select
        entry_id,
        item_id,
        item_sku,
        qty_change,
        credit_change,
        customer_id,
        created_at,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from shop_items_ledger
