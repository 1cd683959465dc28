{#
    Show where the space of the project's tables goes, what of it is dead, and what of the raw tables
    could be pruned: `dbt run-operation storage_report`. With pgstattuple in the database its figures are exact, and it reads every
    page; without it they are the statistics'.
#}
{% macro storage_report() %}
    {% do ingot.show_table('Storage', run_query(ingot.storage_sql())) %}
    {% if run_query("select to_regclass('ops.models_of_loads') is not null").columns[0].values()[0] %}
        {% do ingot.show_table('What every model has applied', run_query(ingot.prunable_sql())) %}
    {% endif %}
    {% if not ingot.has_pgstattuple() %}
        {% do print('`create extension pgstattuple` for the bloat of each index.') %}
    {% endif %}
{% endmacro %}


{#
    One row a table of the project's schemas, the largest first; a partitioned table is its
    partitions.
#}
{% macro storage_sql() %}
    select
        relations.oid::regclass::text as "table",
        pg_size_pretty({{ ingot.table_size_sql('rows', 'relations.oid') }}) as "rows",
        pg_size_pretty({{ ingot.table_size_sql('indexes', 'relations.oid') }}) as indexes,
        round(
            100.0 * {{ ingot.table_size_sql('indexes', 'relations.oid') }}
            / nullif({{ ingot.table_size_sql('all', 'relations.oid') }}, 0)
        ) as index_percent,
        n_live_tup as live_rows,
        n_dead_tup as dead_rows,
        round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0)) as dead_percent,
        {% if ingot.has_pgstattuple() %}
        (select round(free_percent)::integer from pgstattuple(relations.oid)) as free_percent,
        (
            {# An empty index has no density. #}
            select round(100 - nullif(avg_leaf_density, 'NaN'))::integer
            from pg_index
            cross join lateral pgstatindex(indexrelid)
            where indrelid = relations.oid and {{ ingot.is_btree_sql('indexrelid') }}
            order by pg_relation_size(indexrelid) desc
            limit 1
        ) as index_free_percent,
        {% endif %}
        coalesce(greatest(last_vacuum, last_autovacuum)::timestamp(0)::text, 'never') as vacuumed
    from pg_class as relations
    inner join ({{ ingot.table_statistics_sql() }}) as statistics on relid = relations.oid
    where {{ ingot.in_project_sql() }} and relations.relkind <> 'p'
    order by {{ ingot.table_size_sql('all', 'relations.oid') }} desc
{% endmacro %}


{#
    One row a raw table that holds rows: the loads that `prune` could remove, their share of its
    size, and the models for which others stay.
#}
{% macro prunable_sql() %}
    with

    loads as (
        select
            loads.table_schema,
            loads.table_name,
            loads.records,
            bool_and(models.is_applied) as is_applied,
            array_agg(models.model) filter (where not models.is_applied) as waits_for
        from ops.loads
        left join ops.models_of_loads as models on loads.load_id = models.load_id
        where loads.status = 'complete' and loads.records > 0
        group by loads.load_id
    ),

    tables as (
        select
            table_schema,
            table_name,
            count(*) as load_count,
            count(*) filter (where is_applied) as prunable_loads,
            coalesce(sum(records) filter (where is_applied), 0) as prunable_records,
            coalesce(sum(records) filter (where is_applied), 0) / sum(records) as share
        from loads
        group by table_schema, table_name
    )

    select
        table_schema || '.' || table_name as "table",
        load_count as loads,
        prunable_loads,
        prunable_records,
        (
            select pg_size_pretty((share * sum({{ ingot.table_size_sql(
                'all', "to_regclass(format('%I.%I', segments.table_schema, segments.relation_name))"
            ) }}))::bigint)
            from ops.segments
            where segments.table_schema = tables.table_schema and segments.table_name = tables.table_name
        ) as about,
        (
            select string_agg(distinct model, ', ')
            from loads
            cross join unnest(loads.waits_for) as model
            where loads.table_schema = tables.table_schema and loads.table_name = tables.table_name
        ) as waits_for
    from tables
    order by share desc, 1
{% endmacro %}


{% macro in_project_sql() -%}
    schemaname in ('{{ ingot.project_schemas() | join("', '") }}')
{%- endmacro %}


{# Return the schemas of the models, seeds, snapshots and sources; and the ledger's. #}
{% macro project_schemas() %}
    {% set nodes = graph.nodes.values() | selectattr('schema', 'defined') | list %}
    {% set built = nodes | rejectattr('resource_type', 'equalto', 'test') | map(attribute='schema') %}
    {% set landed = graph.sources.values() | map(attribute='schema') %}
    {{ return(((built | list) + (landed | list) + ['ops']) | unique | sort) }}
{% endmacro %}


{% macro has_pgstattuple() %}
    {% set found = run_query("select 1 from pg_extension where extname = 'pgstattuple'") %}
    {{ return(found.rows | length == 1) }}
{% endmacro %}


{% macro is_btree_sql(index_id) -%}
    (
        select amname = 'btree'
        from pg_class
        inner join pg_am on pg_am.oid = relam
        where pg_class.oid = {{ index_id }}
    )
{%- endmacro %}
