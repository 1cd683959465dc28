select
    (
        select min(known.customer_id)
        from {{ ref('shop_customers') }} as known
        where known.name = $1 and known.role = $2
    ) as customer_id,
    items.type as item_type,
    sum(-entries.qty_change) as bought_count
from {{ ref('shop_items_ledger') }} as entries
inner join {{ ref('shop_customers') }} as customers on entries.customer_id = customers.customer_id
inner join {{ ref('shop_items_plan') }} as items on entries.item_id = items.id
where customers.role = $2 and entries.qty_change < 0
group by items.type
order by bought_count desc, item_type asc
