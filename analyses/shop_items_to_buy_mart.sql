select
    item_type,
    stock
from {{ ref('shop_item_type_stock') }}
order by item_type
