{{ config(indexes=[{'columns': ['channel'], 'unique': true}]) }}

with

members as (
    select * from {{ ref('gym_members') }}
),

channels as (
    select unnest(array['Gympass', 'Totalpass', 'direct']) as channel
),

active_members as (
    select
        case
            when gympass_id is not null then 'Gympass'
            when code_totalpass is not null then 'Totalpass'
            else 'direct'
        end as channel
    from members
    where status = 'Active'
),

acquisition_channels as (
    select
        channels.channel,
        count(active_members.channel) as active_member_count
    from channels
    left join active_members on channels.channel = active_members.channel
    group by channels.channel
)

select * from acquisition_channels
