{#
    Count, for each column that a source declares, the values that its cast makes NULL, in one pass
    over the raw table; fail by those of the columns that lose more than their max_cast_failures.
#}
{% test declared_casts_keep_values(model, source_name, table_name) %}
    {{ config(fail_calc='coalesce(sum(lost_count), 0)') }}
    {% set raw_table = source(source_name, table_name) %}
    {% set columns = [] %}
    {% if execute %}
        {% for column in ingot.declared_columns(source_name, table_name) if column.cast != column.value %}
            {% do columns.append(column) %}
        {% endfor %}
    {% endif %}

    with

    records as (
        select * from {{ raw_table }}
        where {{ ingot.complete_loads_only(raw_table) }}
    ),

    counts as (
        select
            {% for column in columns -%}
            count(*) filter (where {{ column.value }} is not null and ({{ column.cast }}) is null) as lost_{{ loop.index }},
            min({{ column.value }}) filter (where ({{ column.cast }}) is null) as value_{{ loop.index }},
            {% endfor -%}
            count(*) as record_count
        from records
    ),

    losses as (
        {% for column in columns -%}
        select
            '{{ column.name | replace("'", "''") }}' as column_name,
            lost_{{ loop.index }} as lost_count,
            {{ column.max_cast_failures }} as max_cast_failures,
            value_{{ loop.index }} as lost_value
        from counts
        union all
        {% endfor -%}
        select
            null as column_name,
            0 as lost_count,
            0 as max_cast_failures,
            null as lost_value
        from counts
    )

    select * from losses
    where lost_count > max_cast_failures
{% endtest %}
