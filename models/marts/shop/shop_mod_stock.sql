{{ config(indexes=[{'columns': ['mod_sku'], 'unique': true}]) }}

with

mods_ledger as (
    select * from {{ ref('shop_mods_ledger') }}
),

mod_stocks as (
    select
        mod_sku,
        sum(qty_change) as stock
    from mods_ledger
    group by mod_sku
    order by mod_sku
)

select * from mod_stocks
