select
    mod_sku,
    stock
from {{ ref('shop_mod_stock') }}
order by mod_sku
