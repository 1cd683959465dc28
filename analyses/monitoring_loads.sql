-- One row per load, the latest first: when it ran, what it landed, records a minute.
select
    loads.load_id,
    loads.table_schema,
    loads.table_name,
    loads.status,
    loads.started_at,
    loads.finished_at,
    loads.files as file_count,
    loads.records,
    loads.rejected,
    loads.error,
    files.hive_keys ->> 'run_id' as run_id,
    round(loads.records * 60 / nullif(
        extract(epoch from loads.finished_at - loads.started_at), 0
    )) as records_a_minute
from ops.loads
left join lateral (
    select files.hive_keys
    from ops.files
    where files.load_id = loads.load_id
    order by files.file_id desc
    limit 1
) as files on true
order by loads.load_id desc
