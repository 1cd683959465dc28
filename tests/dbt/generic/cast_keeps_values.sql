{#
    Count the values of `raw_column`, which `column_name` was cast from, that the cast made NULL. It warns:
    the rows are right without them, but somebody should ask their source.
#}
{% test cast_keeps_values(model, column_name, raw_column=none, raw_table=none) %}
    {{ config(severity='warn', fail_calc='coalesce(sum(abs(lost_count)), 0)') }}
    {% set raw_table = raw_table or ingot.source_of(model) %}

    with

    raw_values as (
        select count(nullif({{ raw_column or column_name }}, '')) as raw_count
        from {{ raw_table }}
        where {{ ingot.complete_loads_only(raw_table) }}
    ),

    cast_values as (
        select count({{ column_name }}) as cast_count
        from {{ model }}
    )

    select raw_count - cast_count as lost_count
    from raw_values
    cross join cast_values
    where raw_count <> cast_count
{% endtest %}
