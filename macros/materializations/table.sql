{#
    dbt's materialization with another full refresh: readers, views and grants keep the table.
    dbt's own drops what depends on the old table, and does so after the commit.
#}
{% materialization table, adapter='postgres' %}
    {% set existing = load_cached_relation(this) %}
    {% if existing is not none and not existing.is_table %}
        {{ return(dbt.materialization_table_default()) }}
    {% endif %}
    {{ return(full_refresh(existing)) }}
{% endmaterialization %}
