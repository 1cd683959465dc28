select
    item_id,
    item_sku,
    item_type,
    mod_id,
    mod_sku,
    price,
    stock
from {{ ref('shop_catalog') }}
order by item_id
