select
    (
        select min(known.customer_id)
        from {{ ref('shop_customers') }} as known
        where known.name = $1 and known.role = $2
    ) as customer_id,
    types.item_type,
    types.bought_count
from {{ ref('shop_role_item_types') }} as types
where types.role = $2
order by types.bought_count desc, types.item_type asc
