-- Each gym mart accounts for every row of core that its question asks for.
with

members as (
    select * from {{ ref('gym_members') }}
),

memberships as (
    select * from {{ ref('gym_member_memberships') }}
),

sales as not materialized (
    select * from {{ ref('gym_sales') }}
),

receivables as (
    select * from {{ ref('gym_receivables') }}
),

entries as not materialized (
    select * from {{ ref('gym_entries') }}
),

latest as (
    select
        (select max(entry_date) from entries) as entry_date,
        (select max(sale_date) from sales) as sale_date
),

expected as (
    select
        'active members' as what,
        count(*) as core_sum
    from members
    where status = 'Active'
    union all
    select
        'active plans' as what,
        count(*) as core_sum
    from memberships
    where membership_status = 'Active'
    union all
    select
        'revenue' as what,
        coalesce(sum(total_value), 0) as core_sum
    from sales
    where not removed
    union all
    select
        'entries' as what,
        count(*) as core_sum
    from entries
    cross join latest
    where
        (entries.entry_date at time zone 'UTC')::date
        > (latest.entry_date at time zone 'UTC')::date - 30
    union all
    select
        'overdue' as what,
        coalesce(sum(receivables.amount - coalesce(receivables.amount_paid, 0)), 0) as core_sum
    from receivables
    inner join sales on receivables.sale_id = sales.sale_id
    cross join latest
    where
        not sales.removed
        and receivables.amount > coalesce(receivables.amount_paid, 0)
        and coalesce(receivables.status, '') <> 'Canceled'
        and receivables.due_date < (latest.sale_date at time zone 'UTC')::date
),

counted as (
    {% for mart, column, what in [
        ('gym_active_members_by_branch', 'active_member_count', 'active members'),
        ('gym_acquisition_channels', 'active_member_count', 'active members'),
        ('gym_active_plans_by_branch', 'active_plan_count', 'active plans'),
        ('gym_revenue_by_month', 'revenue', 'revenue'),
        ('gym_entries_by_day', 'entry_count', 'entries'),
        ('gym_overdue_receivables_by_month', 'overdue_amount', 'overdue'),
    ] -%}
    select
        '{{ mart }}' as mart_name,
        '{{ what }}' as what,
        coalesce(sum({{ column }}), 0) as mart_sum
    from {{ ref(mart) }}
    {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select
    counted.mart_name,
    counted.mart_sum,
    expected.core_sum
from counted
inner join expected on counted.what = expected.what
where counted.mart_sum <> expected.core_sum
