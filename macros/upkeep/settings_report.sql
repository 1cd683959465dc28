{#
    Show the server's settings beside those recommended for its memory, with the reasons:
    `dbt run-operation settings_report --args '{memory_gb: 16}'`. A server does not tell how much
    memory its machine has; without the argument it is taken to be four times shared_buffers.
    The local server's own settings, by the same reasons, are in loaders/server_settings.py.
#}
{% macro settings_report(memory_gb=none) %}
    {% set settings = run_query(ingot.settings_sql(memory_gb)) %}
    {% do ingot.show_table('Settings', settings) %}
{% endmacro %}


{% macro settings_sql(memory_gb) %}
    with

    server as (
        select {{ memory_gb ~ ' * 1024 ^ 3::numeric' if memory_gb is not none else
            "4 * pg_size_bytes(current_setting('shared_buffers'))" }} as memory
    ),

    {# Memory in bytes, time in seconds; `bound` tells on which side of it all is well. #}
    recommended (name, bound, value, reason) as (
        select name, bound, value, reason
        from server
        cross join lateral (
            values
            ('shared_buffers', 'least', least(memory / 4, 8 * 1024 ^ 3::numeric),
                'a quarter of memory, the manual''s starting point'),
            ('effective_cache_size', 'least', memory * 3 / 4,
                'what the page cache can hold; the planner only reads it'),
            ('maintenance_work_mem', 'least', least(memory / 24, 1024 ^ 3::numeric),
                'index builds after a full refresh sort in memory'),
            ('work_mem', 'least', least(memory / 384, 128 * 1024 ^ 2::numeric),
                'hash joins and aggregates of a few sessions in memory'),
            ('max_wal_size', 'least', 8 * 1024 ^ 3::numeric,
                'no checkpoint in the middle of a bulk load'),
            ('wal_buffers', 'least', 64 * 1024 ^ 2::numeric,
                'parallel COPYs write WAL faster than 16 MB is flushed'),
            ('checkpoint_timeout', 'least', 900,
                'fewer full-page images'),
            ('autovacuum_vacuum_cost_limit', 'least', 1000,
                'autovacuum keeps up with increments of large tables; -1 stands for 200'),
            ('effective_io_concurrency', 'least', 16,
                'solid-state disks take many requests at once'),
            ('random_page_cost', 'most', 1.1,
                'solid-state disks and a warm cache: an index costs what it reads'),
            ('jit', 'most', 0,
                'compiling costs more than it saves in queries of milliseconds'),
            ('fsync', 'least', 1,
                'a crash without it loses the cluster')
        ) as listed (name, bound, value, reason)
    ),

    compared as (
        select
            name,
            bound,
            value,
            reason,
            unit ~ 'B$' as is_memory,
            case
                when vartype = 'bool' then (setting = 'on')::integer
                when unit ~ 'B$' then setting::numeric * pg_size_bytes(
                    case when unit ~ '^[0-9]' then unit else '1' || unit end
                )
                else setting::numeric
            end as present,
            vartype = 'bool' as is_switch
        from recommended
        inner join pg_settings using (name)
    )

    select
        name as setting,
        current_setting(name) as present,
        case when is_switch then '' else 'at ' || bound || ' ' end || case
            when is_memory then pg_size_pretty(value)
            when is_switch then case value when 1 then 'on' else 'off' end
            else value::text
        end as recommended,
        {# A tenth short is a matter of rounding. #}
        case
            when bound = 'least' and present >= 0.9 * value then 'ok'
            when bound = 'most' and present <= value then 'ok'
            else 'change'
        end as verdict,
        reason
    from compared
    order by verdict, setting
{% endmacro %}
