{#
    Name schemas by their layer alone, core and not staging_core, where the target owns the plain
    names. Any other target gets its own, `<target.schema>_<layer>`, so that several people build in
    one database. The raw tables (schema staging) and the ledger (ops) are everybody's.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name and target.name in ('postgres', 'duckdb') -%}
        {{ custom_schema_name | trim }}
    {%- else -%}
        {{ default__generate_schema_name(custom_schema_name, node) }}
    {%- endif -%}
{%- endmacro %}
