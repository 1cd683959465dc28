{{ config(indexes=[{'columns': ['branch_id'], 'unique': true}]) }}

with

members as (
    select * from {{ ref('gym_members') }}
),

active_members_by_branch as (
    select
        branch_id,
        max(branch_name) as branch_name,
        count(*) as active_member_count
    from members
    where status = 'Active'
    group by branch_id
)

select * from active_members_by_branch
