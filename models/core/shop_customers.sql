{{
    config(
        unique_key='customer_id',
        meta={'reference': true},
        indexes=[
            {'columns': ['customer_id'], 'unique': true},
            {'columns': ['name']}
        ]
    )
}}

with

customers as (
    select * from {{ ref('stg_shop__customers') }}
    where {{ pending_loads('shop', 'customers') }}
),

latest_versions as (
    select {{ distinct_on('customer_id') }}
        customer_id,
        name,
        role,
        level,
        _load_id
    from customers
    where customer_id is not null
    -- The content decides between two rows of one file, so that every build decides alike.
    {{ first_by(
        'customer_id',
        '_version desc, name asc, role asc, level asc'
    ) }}
),

shop_customers as (
    select
        customer_id,
        name,
        role,
        level,
        _load_id,
        current_timestamp as _inserted_at,
        current_timestamp as _updated_at
    from latest_versions
)

select * from shop_customers
