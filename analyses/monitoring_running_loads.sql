-- One row per load that is running: how much of it has landed, by how many COPYs at this moment,
-- and what these wait for. One without a session was interrupted; the next load undoes it.
with

sessions as (
    select
        locks.objid::bigint as load_id,
        count(*) as session_count,
        count(copies.pid) as copy_count,
        string_agg(distinct activity.wait_event, ', ') as wait_events
    from pg_locks as locks
    inner join pg_stat_activity as activity on locks.pid = activity.pid
    left join pg_stat_progress_copy as copies on locks.pid = copies.pid
    where
        locks.locktype = 'advisory'
        -- The class of a load's lock: loaders/locks.py.
        and locks.classid::bigint = 1229866753
        and locks.database = (
            select pg_database.oid from pg_database
            where pg_database.datname = current_database()
        )
    group by locks.objid
),

started as (
    select
        load_id,
        table_schema,
        table_name,
        started_at,
        files,
        bytes,
        ops.count_landed(load_id) as records
    from ops.loads
    where status = 'started'
)

select
    started.load_id,
    started.table_schema,
    started.table_name,
    started.started_at,
    started.files as file_count,
    started.records,
    sessions.wait_events,
    clock_timestamp() - started.started_at as running_for,
    round(started.bytes / 1e6, 1) as megabytes,
    round(
        started.records / extract(epoch from clock_timestamp() - started.started_at)
    ) as records_a_second,
    coalesce(sessions.copy_count, 0) as copy_count,
    sessions.load_id is null as is_interrupted
from started
left join sessions on started.load_id = sessions.load_id
order by started.load_id
