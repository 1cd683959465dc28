{{ config(indexes=[{'columns': ['role', 'item_type'], 'unique': true}]) }}

with

customers as (
    select * from {{ ref('shop_customers') }}
),

items_plan as (
    select * from {{ ref('shop_items_plan') }}
),

items_ledger as (
    select * from {{ ref('shop_items_ledger') }}
),

role_item_types as (
    select
        customers.role,
        items_plan.type as item_type,
        sum(-items_ledger.qty_change) as bought_count
    from items_ledger
    inner join customers on items_ledger.customer_id = customers.customer_id
    inner join items_plan on items_ledger.item_id = items_plan.id
    where items_ledger.qty_change < 0
    group by customers.role, items_plan.type
    order by customers.role asc, bought_count desc
)

select * from role_item_types
