{# Count the values of `raw_column`, which `column_name` was cast from, that the cast made NULL. #}
{% test cast_keeps_values(model, column_name, raw_table, raw_column) %}
    {{ config(fail_calc='coalesce(sum(lost_count), 0)') }}

    with

    raw_values as (
        select count(nullif({{ raw_column }}, '')) as raw_count
        from {{ raw_table }}
        where {{ complete_loads_only(raw_table) }}
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
