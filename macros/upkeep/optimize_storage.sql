{#
    Vacuum and reindex what needs it, while readers and writers go on, and say how many MB came back
    to the disk: `dbt run-operation optimize_storage --args '{dry_run: true}'` shows the statements
    only, `{reindex: false}` or `{vacuum: false}` runs the others.

    A table is vacuumed where at least `dead_percent` of its rows are dead: their room is for new
    rows then, and comes back to the disk where it is the table's end. A B-tree of at least
    `min_index_mb` is rebuilt where at least `free_percent` of its leaf pages are empty, which
    pgstattuple tells; a fresh one has 10.
#}
{% macro optimize_storage(
    dry_run=false, vacuum=true, reindex=true, dead_percent=10, free_percent=40, min_index_mb=8
) %}
    {% set statements = run_query(
        ingot.storage_statements_sql(vacuum, reindex, dead_percent, free_percent, min_index_mb)
    ) %}
    {% do ingot.show_table('Would run' if dry_run else 'Running', statements) %}
    {% if reindex and not ingot.has_pgstattuple() %}
        {% do print('Indexes are left alone: `create extension pgstattuple` to know theirs.') %}
    {% endif %}
    {% set freed = [] %}
    {% for row in statements.rows if not dry_run %}
        {% set name = modules.re.sub('^(vacuum .analyze.|[a-z]+ index concurrently) ', '', row['statement']) %}
        {% set before = ingot.size_of(name) %}
        {# Neither may run in a transaction, and the driver begins one unless it was ended by word. #}
        {% do run_query('commit') %}
        {% do run_query(row['statement']) %}
        {% do freed.append([before - ingot.size_of(name), 0] | max) %}
        {% do print('done: ' ~ row['statement'] ~ ': ' ~ ingot.in_mb(freed | last) ~ ' came back') %}
    {% endfor %}
    {% if freed %}
        {% do print('in all: ' ~ ingot.in_mb(freed | sum) ~ ' came back to the disk') %}
    {% endif %}
{% endmacro %}


{# Return the bytes of a table with its indexes, or of an index; 0 where it is gone. #}
{% macro size_of(name) %}
    {% set bytes = ingot.table_size_sql('all', 'to_regclass(' ~ ingot.literal(name) ~ ')') %}
    {{ return(run_query('select coalesce(' ~ bytes ~ ', 0)').columns[0].values()[0] | int) }}
{% endmacro %}


{% macro in_mb(bytes) %}
    {{ return('%.1f MB' | format(bytes / 1e6)) }}
{% endmacro %}


{% macro storage_statements_sql(vacuum, reindex, dead_percent, free_percent, min_index_mb) %}
    select
        'vacuum (analyze) ' || relid::regclass as statement,
        format('%s %% of its rows are dead', share) as reason
    from ({{ ingot.table_statistics_sql() }}) as statistics
    cross join lateral (
        select round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0)) as share
    ) as dead
    where {{ ingot.in_project_sql() }} and share >= {{ dead_percent }}{{ ' and false' if not vacuum }}
    {% if reindex and ingot.has_pgstattuple() %}
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
    {% if reindex %}
    union all
    {# What a reindex leaves when it is interrupted. #}
    select 'drop index concurrently ' || indexrelid::regclass, 'left by an interrupted reindex'
    from pg_stat_user_indexes
    inner join pg_index using (indexrelid)
    where {{ ingot.in_project_sql() }} and not indisvalid and indexrelname ~ '_ccnew[0-9]*$'
    {% endif %}
    order by 1 desc
{% endmacro %}
