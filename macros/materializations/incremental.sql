{# dbt's materialization with one builder and another full refresh; an increment is dbt's own. #}
{% materialization incremental, adapter='postgres' %}
    {% do ingot.lock_model() %}
    {% set existing = load_cached_relation(this) %}
    {% if existing is not none and existing.is_table and ingot.must_compare() and not should_full_refresh() %}
        {{ return(ingot.full_refresh(existing, mode='difference')) }}
    {% endif %}
    {% if existing is not none and (not existing.is_table or not should_full_refresh()) %}
        {{ return(dbt.materialization_incremental_default()) }}
    {% endif %}
    {{ return(ingot.full_refresh(existing)) }}
{% endmaterialization %}
