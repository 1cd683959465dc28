-- One row per COPY that is running: which load, which table, how far. `bytes_total` is 0 where the
-- bytes come over the connection, which they do here: the rate is what tells.
select
    activity.pid,
    activity.application_name,
    copies.relid::regclass as table_name,
    copies.bytes_processed,
    copies.tuples_processed as records,
    activity.wait_event_type,
    activity.wait_event,
    clock_timestamp() - activity.query_start as running_for,
    round(
        copies.tuples_processed
        / nullif(extract(epoch from clock_timestamp() - activity.query_start), 0)
    ) as records_a_second
from pg_stat_progress_copy as copies
inner join pg_stat_activity as activity on copies.pid = activity.pid
where copies.datname = current_database()
order by activity.query_start
