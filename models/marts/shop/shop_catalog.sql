{{ config(indexes=[{'columns': ['item_id'], 'unique': true}]) }}

with

item_stocks as (
    select * from {{ ref('shop_item_stock') }}
),

items_in_stock as (
    select
        item_id,
        item_sku,
        item_type,
        mod_id,
        mod_sku,
        price,
        stock
    from item_stocks
    where stock > 0
    order by item_id
)

select * from items_in_stock
