{{ config(indexes=[{'columns': ['month'], 'unique': true}]) }}

with

sales as (
    select * from {{ ref('gym_sales') }}
),

revenue_by_month as (
    select
        date_trunc('month', sale_date at time zone 'UTC')::date as month,
        count(*) as sale_count,
        coalesce(sum(total_value), 0) as revenue,
        {# A customer is a member, or a prospect who is none yet. #}
        count(distinct coalesce('m' || member_id, 'p' || prospect_id)) as customer_count
    from sales
    where not removed
    group by 1
)

select * from revenue_by_month
