-- One row per table of the ledger and of the layers, whatever the target, most dead rows first: what
-- updates and deletes have left behind, and when a vacuum came by.
select
    schemaname,
    relname,
    n_live_tup as live_rows,
    n_dead_tup as dead_rows,
    n_tup_upd as updated_rows,
    round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1) as dead_percent,
    round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 1) as hot_percent,
    greatest(last_vacuum, last_autovacuum) as vacuumed_at,
    greatest(last_analyze, last_autoanalyze) as analyzed_at,
    pg_size_pretty(pg_table_size(relid)) as table_size,
    pg_size_pretty(pg_indexes_size(relid)) as index_size
from pg_stat_user_tables
where schemaname = 'ops' or schemaname ~ '^(.+_)?(staging|core|marts)$'
order by dead_rows desc, relname asc
