with

item as (
    select
        items.price,
        coalesce(sum(entries.qty_change), 0) as stock
    from {{ ref('shop_items_plan') }} as items
    left join {{ ref('shop_items_ledger') }} as entries on items.id = entries.item_id
    where items.id = $1
    group by items.price
)

select
    item.price,
    item.stock,
    entries.entry_id,
    entries.item_sku,
    entries.qty_change,
    entries.credit_change,
    entries.created_at
from item
left join {{ ref('shop_items_ledger') }} as entries on entries.customer_id = $2
order by entries.entry_id
