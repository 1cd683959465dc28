select
    item_id,
    item_sku,
    stock
from {{ ref('shop_catalog') }}
where mod_sku = 'BASIC'
order by item_id
