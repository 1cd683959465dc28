select
    mod_sku,
    sum(qty_change) as stock
from {{ ref('shop_mods_ledger') }}
group by mod_sku
order by mod_sku
