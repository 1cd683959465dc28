select
    (select coalesce(sum(credit_change), 0) from {{ ref('shop_items_ledger') }})
    + (select coalesce(sum(credit_change), 0) from {{ ref('shop_mods_ledger') }}) as credit
