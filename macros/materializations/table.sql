{#
    dbt's materialization with one builder and another full refresh: readers, views and grants
    keep the table. dbt's own drops what depends on the old table, and does so after the commit.
#}
{% materialization table, adapter='postgres' %}
    {% do ingot.lock_model() %}
    {% set existing = load_cached_relation(this) %}
    {% if existing is not none and not existing.is_table %}
        {{ return(dbt.materialization_table_default()) }}
    {% endif %}
    {{ return(ingot.full_refresh(existing)) }}
{% endmaterialization %}


{# dbt's own, by one builder. #}
{% materialization seed, adapter='postgres' %}
    {% do ingot.lock_model() %}
    {{ return(dbt.materialization_seed_default()) }}
{% endmaterialization %}
