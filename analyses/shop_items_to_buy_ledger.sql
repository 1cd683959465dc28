select
    items.type as item_type,
    coalesce(sum(entries.qty_change), 0) as stock
from {{ ref('shop_items_plan') }} as items
left join {{ ref('shop_items_ledger') }} as entries on items.id = entries.item_id
group by items.type
order by item_type
