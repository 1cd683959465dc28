{#
    Render the rows of pg_stat_user_tables with the live and dead rows of every shard: on a cluster,
    the coordinator's own statistics know nothing of them.
#}
{% macro table_statistics_sql() -%}
    {%- if not ingot.has_citus() -%}
    select relid, schemaname, n_live_tup, n_dead_tup, last_vacuum, last_autovacuum from pg_stat_user_tables
    {%- else -%}
    select
        relid,
        schemaname,
        coalesce(shards.live, n_live_tup) as n_live_tup,
        coalesce(shards.dead, n_dead_tup) as n_dead_tup,
        coalesce(shards.vacuumed, last_vacuum) as last_vacuum,
        last_autovacuum
    from pg_stat_user_tables
    left join lateral (
        select
            sum(split_part(result, ';', 1)::bigint) as live,
            sum(split_part(result, ';', 2)::bigint) as dead,
            min(nullif(split_part(result, ';', 3), '')::timestamptz) as vacuumed
        from pg_dist_partition
        cross join lateral run_command_on_shards(logicalrelid, $command$
            select concat_ws(';', n_live_tup, n_dead_tup, greatest(last_vacuum, last_autovacuum))
            from pg_stat_user_tables
            where relid = '%s'::regclass
        $command$)
        where logicalrelid = relid and success
    ) as shards on true
    {%- endif -%}
{%- endmacro %}


{# Render the size of a table on all nodes: of its rows, of its indexes, or of both. #}
{% macro table_size_sql(part, oid) -%}
    {%- set own = {'rows': 'pg_table_size', 'indexes': 'pg_indexes_size', 'all': 'pg_total_relation_size'}[part] -%}
    {%- if not ingot.has_citus() -%}
        {{ own }}({{ oid }})
    {%- else -%}
        case
            when {{ oid }} not in (select logicalrelid::oid from pg_dist_partition) then {{ own }}({{ oid }})
            when '{{ part }}' = 'all' then citus_total_relation_size({{ oid }})
            when '{{ part }}' = 'rows' then citus_table_size({{ oid }})
            else citus_total_relation_size({{ oid }}) - citus_table_size({{ oid }})
        end
    {%- endif -%}
{%- endmacro %}
