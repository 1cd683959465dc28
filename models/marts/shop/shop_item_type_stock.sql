{{ config(indexes=[{'columns': ['item_type'], 'unique': true}]) }}

with

item_stocks as (
    select * from {{ ref('shop_item_stock') }}
),

type_stocks as (
    select
        item_type,
        sum(stock)::bigint as stock
    from item_stocks
    group by item_type
    order by item_type
)

select * from type_stocks
