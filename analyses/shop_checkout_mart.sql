select
    item.price,
    item.stock,
    entries.entry_id,
    entries.item_sku,
    entries.qty_change,
    entries.credit_change,
    entries.created_at
from {{ ref('shop_item_stock') }} as item
left join {{ ref('shop_items_ledger') }} as entries on entries.customer_id = $2
where item.item_id = $1
order by entries.entry_id
