{#
    Show where the space of the project's tables goes and what of it is dead: `dbt run-operation
    storage_report`. With pgstattuple in the database its figures are exact, and it reads every
    page; without it they are the statistics'.
#}
{% macro storage_report() %}
    {% do ingot.show_table('Storage', run_query(ingot.storage_sql())) %}
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
