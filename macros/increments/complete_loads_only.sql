{#
    Render the predicate that hides the rows of `raw_table` (a source) whose load is not
    complete. A list of what to hide, because it is usually empty; `not in`, because it runs
    once, as a hashed subplan (30 ms of 1M rows), and keeps the planner's estimate of rows sane,
    where `<> all (array(...))` and `not exists` make it 1.
#}
{% macro complete_loads_only(raw_table) -%}
    _load_id not in (
        select load_id
        from ops.loads
        where status <> 'complete' and {{ ingot.of_table_sql(raw_table) }}
    )
{%- endmacro %}
