-- Core has each customer and each entry of the loads that it has applied, once.
{% set models = {
    'shop_customers': ('stg_shop__customers', 'customer_id'),
    'shop_items_ledger': ('stg_shop__items_ledger', 'entry_id'),
    'shop_mods_ledger': ('stg_shop__mods_ledger', 'entry_id'),
} %}

with

applied_loads as (
    select
        model as model_name,
        load_id as _load_id
    from ops.applied_loads
),

counts as (
    {% for model, (view, key) in models.items() -%}
    select
        '{{ model }}' as model_name,
        count(distinct records.{{ key }}) as landed_count,
        (select count(*) from {{ ref(model) }}) as built_count
    from {{ ref(view) }} as records
    inner join applied_loads on records._load_id = applied_loads._load_id
    where applied_loads.model_name = 'core.{{ model }}'
    {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select * from counts
where landed_count <> built_count
