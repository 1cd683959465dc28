{{ config(indexes=[{'columns': ['due_month'], 'unique': true}]) }}

with

receivables as (
    select * from {{ ref('gym_receivables') }}
),

{# Read twice: PostgreSQL would copy it whole into a temporary file. #}
sales as not materialized (
    select * from {{ ref('gym_sales') }}
),

{# The data's own today, so that the same data give the same rows. #}
latest_sale as (
    select (max(sale_date) at time zone 'UTC')::date as latest_day
    from sales
),

overdue_receivables as (
    select
        date_trunc('month', receivables.due_date)::date as due_month,
        receivables.amount - coalesce(receivables.amount_paid, 0) as amount_due
    from receivables
    inner join sales on receivables.sale_id = sales.sale_id
    cross join latest_sale
    where
        not sales.removed
        and receivables.due_date < latest_sale.latest_day
        and receivables.amount > coalesce(receivables.amount_paid, 0)
        and receivables.status is distinct from 'Canceled'
),

overdue_receivables_by_month as (
    select
        due_month,
        count(*) as receivable_count,
        sum(amount_due) as overdue_amount
    from overdue_receivables
    group by due_month
)

select * from overdue_receivables_by_month
