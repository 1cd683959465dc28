select
    items.id as item_id,
    items.sku as item_sku,
    items.type as item_type,
    sum(entries.qty_change) as own_stock
from {{ ref('shop_items_ledger') }} as entries
inner join {{ ref('shop_items_plan') }} as items on entries.item_id = items.id
where items.mod_id = 0 and entries.customer_id = 0
group by items.id, items.sku, items.type
having sum(entries.qty_change) > 0
order by item_id
