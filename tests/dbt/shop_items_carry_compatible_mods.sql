-- An item of the plan carries a mod that its type can carry.
select
    items.id as item_id,
    items.type as item_type,
    mods.compatible
from {{ ref('shop_items_plan') }} as items
inner join {{ ref('shop_mods_plan') }} as mods on items.mod_id = mods.id
where items.type <> all(string_to_array(mods.compatible, '|'))
