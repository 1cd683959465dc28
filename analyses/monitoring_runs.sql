-- One row per table and run of the extractor: first start, last finish, records a minute. A
-- source without run_id in its paths has one row a table.
with

runs as (
    select
        table_schema,
        table_name,
        load_id,
        hive_keys ->> 'run_id' as run_id,
        sum(records) as records,
        sum(rejected) as rejected,
        count(*) as file_count
    from ops.files
    where released_at is null
    group by table_schema, table_name, run_id, load_id
)

select
    runs.table_schema,
    runs.table_name,
    runs.run_id,
    min(loads.started_at) as started_at,
    max(loads.finished_at) as finished_at,
    count(*) filter (
        where loads.status not in ('complete', 'pruned')
    ) as incomplete_load_count,
    sum(runs.file_count) as file_count,
    sum(runs.records) as records,
    sum(runs.rejected) as rejected,
    round(sum(runs.records) * 60 / nullif(
        extract(epoch from max(loads.finished_at) - min(loads.started_at)), 0
    )) as records_a_minute
from runs
inner join ops.loads on runs.load_id = loads.load_id
group by runs.table_schema, runs.table_name, runs.run_id
order by started_at desc, runs.table_schema asc, runs.table_name asc
