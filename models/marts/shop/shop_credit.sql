{{ config(indexes=[{'columns': ['customer_id'], 'unique': true}]) }}

with

items_ledger as (
    select * from {{ ref('shop_items_ledger') }}
),

mods_ledger as (
    select * from {{ ref('shop_mods_ledger') }}
),

ledger_credits as (
    select
        (select coalesce(sum(credit_change), 0) from items_ledger) as items_credit,
        (select coalesce(sum(credit_change), 0) from mods_ledger) as mods_credit
),

credits as (
    select
        0::bigint as customer_id,
        items_credit,
        mods_credit,
        items_credit + mods_credit as credit
    from ledger_credits
)

select * from credits
