-- Each balance in the shop's marts is the sum of its ledger, over the items that the plan knows.
with

items_ledger as not materialized (
    select * from {{ ref('shop_items_ledger') }}
),

items_plan as not materialized (
    select * from {{ ref('shop_items_plan') }}
),

mods_ledger as not materialized (
    select * from {{ ref('shop_mods_ledger') }}
),

customers as (
    select * from {{ ref('shop_customers') }}
),

item_balances as (
    select
        items_ledger.item_id,
        sum(items_ledger.qty_change) as stock
    from items_ledger
    inner join items_plan on items_ledger.item_id = items_plan.id
    group by items_ledger.item_id
),

expected as (
    select
        'shop_item_stock' as mart_name,
        coalesce(sum(stock), 0) as ledger_sum
    from item_balances
    union all
    select
        'shop_catalog' as mart_name,
        coalesce(sum(stock), 0) as ledger_sum
    from item_balances
    where stock > 0
    union all
    select
        'shop_item_type_stock' as mart_name,
        coalesce(sum(stock), 0) as ledger_sum
    from item_balances
    union all
    select
        'shop_mod_stock' as mart_name,
        coalesce(sum(qty_change), 0) as ledger_sum
    from mods_ledger
    union all
    select
        'shop_credit' as mart_name,
        (select coalesce(sum(credit_change), 0) from items_ledger)
        + (select coalesce(sum(credit_change), 0) from mods_ledger) as ledger_sum
    union all
    select
        'shop_role_item_types' as mart_name,
        coalesce(-sum(items_ledger.qty_change), 0) as ledger_sum
    from items_ledger
    inner join items_plan on items_ledger.item_id = items_plan.id
    inner join customers on items_ledger.customer_id = customers.customer_id
    where items_ledger.qty_change < 0
),

kept as (
    {% for mart, column in {
        'shop_item_stock': 'stock',
        'shop_catalog': 'stock',
        'shop_item_type_stock': 'stock',
        'shop_mod_stock': 'stock',
        'shop_credit': 'credit',
        'shop_role_item_types': 'bought_count',
    }.items() -%}
    select
        '{{ mart }}' as mart_name,
        coalesce(sum({{ column }}), 0) as mart_sum
    from {{ ref(mart) }}
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

item_differences as (
    select
        'item ' || stocks.item_id as mart_name,
        stocks.stock as mart_sum,
        coalesce(item_balances.stock, 0) as ledger_sum
    from {{ ref('shop_item_stock') }} as stocks
    left join item_balances on stocks.item_id = item_balances.item_id
),

balances as (
    select
        kept.mart_name,
        kept.mart_sum,
        expected.ledger_sum
    from kept
    inner join expected on kept.mart_name = expected.mart_name
    union all
    select * from item_differences
)

select * from balances
where mart_sum <> ledger_sum
