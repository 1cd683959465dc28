select
    item_id,
    item_sku,
    item_type,
    own_stock
from {{ ref('shop_item_stock') }}
where mod_id = 0 and own_stock > 0
order by item_id
