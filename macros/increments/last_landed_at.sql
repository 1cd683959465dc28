{#
    Render the query for when a source's table last landed, its `loaded_at_query`: the ledger knows,
    and the raw table, which may be large, need not be read.
#}
{% macro last_landed_at(raw_table) -%}
    select max(finished_at)
    from ops.loads
    where
        table_schema = '{{ raw_table.schema }}'
        and table_name = '{{ raw_table.identifier }}'
        and status in ('complete', 'pruned')
{%- endmacro %}
