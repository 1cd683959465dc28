{{ config(indexes=[{'columns': ['item_id'], 'unique': true}]) }}

with

items_plan as (
    select * from {{ ref('shop_items_plan') }}
),

mods_plan as (
    select * from {{ ref('shop_mods_plan') }}
),

items_ledger as (
    select * from {{ ref('shop_items_ledger') }}
),

stocks as (
    select
        item_id,
        sum(qty_change) as stock,
        sum(case when customer_id = 0 then qty_change end) as own_stock
    from items_ledger
    group by item_id
),

item_stocks as (
    select
        items_plan.id as item_id,
        items_plan.sku as item_sku,
        items_plan.type as item_type,
        mods_plan.id as mod_id,
        mods_plan.sku as mod_sku,
        items_plan.price,
        coalesce(stocks.stock, 0) as stock,
        coalesce(stocks.own_stock, 0) as own_stock
    from items_plan
    inner join mods_plan on items_plan.mod_id = mods_plan.id
    left join stocks on items_plan.id = stocks.item_id
)

select * from item_stocks
