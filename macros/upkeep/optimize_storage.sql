{#
    Vacuum and reindex what needs it, while readers and writers go on: `dbt run-operation
    optimize_storage --args '{dry_run: true}'` shows the statements only.

    A table is vacuumed where at least `dead_percent` of its rows are dead. A B-tree of at least
    `min_index_mb` is rebuilt where at least `free_percent` of its leaf pages are empty, which
    pgstattuple tells; a fresh one has 10.
#}
{% macro optimize_storage(dry_run=false, dead_percent=10, free_percent=40, min_index_mb=8) %}
    {% set statements = run_query(ingot.storage_statements_sql(dead_percent, free_percent, min_index_mb)) %}
    {% do ingot.show_table('Would run' if dry_run else 'Running', statements) %}
    {% if not ingot.has_pgstattuple() %}
        {% do print('Indexes are left alone: `create extension pgstattuple` to know theirs.') %}
    {% endif %}
    {% for statement in statements.columns['statement'].values() if not dry_run %}
        {# Neither may run in a transaction, and the driver begins one unless it was ended by word. #}
        {% do run_query('commit') %}
        {% do run_query(statement) %}
        {% do print('done: ' ~ statement) %}
    {% endfor %}
{% endmacro %}


{% macro storage_statements_sql(dead_percent, free_percent, min_index_mb) %}
    select
        'vacuum (analyze) ' || relid::regclass as statement,
        format('%s %% of its rows are dead', share) as reason
    from ({{ ingot.table_statistics_sql() }}) as statistics
    cross join lateral (
        select round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0)) as share
    ) as dead
    where {{ ingot.in_project_sql() }} and share >= {{ dead_percent }}
    {% if ingot.has_pgstattuple() %}
    union all
    select
        'reindex index concurrently ' || indexrelid::regclass,
        format('%s %% of its leaf pages is free', round(share))
    from pg_stat_user_indexes
    inner join pg_index using (indexrelid)
    cross join lateral (
        select 100 - avg_leaf_density as share
        from pgstatindex(indexrelid)
        where avg_leaf_density <> 'NaN'
    ) as free
    where
        {{ ingot.in_project_sql() }}
        and indisvalid
        and {{ ingot.is_btree_sql('indexrelid') }}
        and pg_relation_size(indexrelid) >= {{ min_index_mb }} * 1024 * 1024
        and share >= {{ free_percent }}
    {% endif %}
    union all
    {# What a reindex leaves when it is interrupted. #}
    select 'drop index concurrently ' || indexrelid::regclass, 'left by an interrupted reindex'
    from pg_stat_user_indexes
    inner join pg_index using (indexrelid)
    where {{ ingot.in_project_sql() }} and not indisvalid and indexrelname ~ '_ccnew[0-9]*$'
    order by 1 desc
{% endmacro %}
