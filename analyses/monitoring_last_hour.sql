-- One row per minute of the last hour and table that was landed in it: records and megabytes, those
-- of a load spread evenly over its time, and the loads that ended. Loads that are running count by
-- what has landed of them.
with

minutes as (
    select generate_series(
        date_trunc('minute', now()) - interval '59 minutes',
        date_trunc('minute', now()),
        interval '1 minute'
    ) as minute
),

loads as (
    select
        load_id,
        table_schema,
        table_name,
        status,
        started_at,
        rejected,
        coalesce(finished_at, clock_timestamp()) as ended_at,
        case
            when status = 'started' then ops.count_landed(load_id)
            else records
        end as records,
        -- How much of a running one's bytes have landed is not known.
        case when status <> 'started' then bytes end as bytes
    from ops.loads
    where
        status in ('started', 'complete', 'pruned')
        and coalesce(finished_at, now()) >= now() - interval '1 hour'
),

shares as (
    select
        minutes.minute,
        loads.table_schema,
        loads.table_name,
        loads.load_id,
        loads.records,
        loads.rejected,
        loads.bytes,
        loads.status <> 'started'
        and loads.ended_at < minutes.minute + interval '1 minute' as has_ended,
        extract(
            epoch from least(loads.ended_at, minutes.minute + interval '1 minute')
            - greatest(loads.started_at, minutes.minute)
        ) / greatest(extract(epoch from loads.ended_at - loads.started_at), 0.000001) as share
    from minutes
    inner join loads
        on
            minutes.minute + interval '1 minute' > loads.started_at
            and minutes.minute <= loads.ended_at
)

select
    minutes.minute,
    shares.table_schema,
    shares.table_name,
    coalesce(round(sum(shares.records * shares.share)), 0) as records,
    coalesce(round(sum(shares.bytes * shares.share) / 1e6, 1), 0) as megabytes,
    count(shares.load_id) filter (where not shares.has_ended) as running_loads,
    count(shares.load_id) filter (where shares.has_ended) as ended_loads,
    coalesce(sum(shares.rejected) filter (where shares.has_ended), 0) as rejected
from minutes
left join shares on minutes.minute = shares.minute
group by minutes.minute, shares.table_schema, shares.table_name
order by minutes.minute desc, shares.table_schema asc, shares.table_name asc
