{#
    Return how Citus spreads this model's table over its nodes: the column of `meta.distributed_by`,
    'reference' for `meta.reference: true` (a copy on every node), or none for a table of the
    coordinator, which is also what every table is where the database has no Citus.

    A model that upserts is distributed by the first column of its `unique_key`, unless it says
    otherwise: what the key is looked up by has to be in the key.
#}
{% macro distribution() %}
    {% if not execute or model.resource_type not in ('model', 'seed') or not ingot.has_citus() %}
        {{ return(none) }}
    {% endif %}
    {% set column = config.meta_get('distributed_by') %}
    {% set unique_key = config.get('unique_key') or [] %}
    {% set keys = [unique_key] if unique_key is string else unique_key | list %}
    {% if config.meta_get('reference') %}
        {% if column %}
            {{ exceptions.raise_compiler_error(
                this ~ ' has `distributed_by` and `reference: true` in its `meta`: keep one of them.'
            ) }}
        {% endif %}
        {{ return('reference') }}
    {% elif not (config.get('incremental_strategy') or '').startswith('upsert') %}
        {{ return(column) }}
    {% elif column and keys and column not in keys %}
        {{ exceptions.raise_compiler_error(
            this ~ ' is distributed by ' ~ column ~ ', which is not in its `unique_key` (' ~ keys | join(', ')
            ~ '): Citus keeps keys unique within a shard only. Set `distributed_by` to a column of the key.'
        ) }}
    {% endif %}
    {{ return(column or (keys | first if keys else none)) }}
{% endmacro %}


{# Return whether the database is a Citus cluster; asked once a run, and kept in `graph`. #}
{% macro has_citus() %}
    {% if not execute or target.type != 'postgres' %}
        {{ return(false) }}
    {% endif %}
    {% set asked = 'has_citus in ' ~ invocation_id %}
    {% if asked not in graph %}
        {% do graph.update({
            asked: run_query("select 1 from pg_extension where extname = 'citus'").rows | length == 1
        }) %}
    {% endif %}
    {{ return(graph[asked]) }}
{% endmacro %}


{# Render the statement that spreads an empty table. #}
{% macro distribute_sql(relation) -%}
    {%- set distribution = ingot.distribution() -%}
    {%- if distribution == 'reference' -%}
        select create_reference_table('{{ relation }}')
    {%- else -%}
        select create_distributed_table('{{ relation }}', {{ ingot.literal(distribution) }})
    {%- endif -%}
{%- endmacro %}
