select
    items.id as item_id,
    items.sku as item_sku,
    items.type as item_type,
    mods.id as mod_id,
    mods.sku as mod_sku,
    items.price,
    sum(entries.qty_change) as stock
from {{ ref('shop_items_ledger') }} as entries
inner join {{ ref('shop_items_plan') }} as items on entries.item_id = items.id
inner join {{ ref('shop_mods_plan') }} as mods on items.mod_id = mods.id
group by items.id, items.sku, items.type, mods.id, mods.sku, items.price
having sum(entries.qty_change) > 0
order by item_id
