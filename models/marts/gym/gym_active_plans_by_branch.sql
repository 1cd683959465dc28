{{ config(indexes=[{'columns': ['branch_id'], 'unique': true}]) }}

with

members as (
    select * from {{ ref('gym_members') }}
),

memberships as (
    select * from {{ ref('gym_member_memberships') }}
),

active_plans_by_branch as (
    select
        members.branch_id,
        max(members.branch_name) as branch_name,
        count(distinct memberships.member_id) as member_count,
        count(*) as active_plan_count
    from memberships
    inner join members on memberships.member_id = members.member_id
    where memberships.membership_status = 'Active'
    group by members.branch_id
)

select * from active_plans_by_branch
