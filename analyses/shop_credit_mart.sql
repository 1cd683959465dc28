select credit
from {{ ref('shop_credit') }}
where customer_id = 0
