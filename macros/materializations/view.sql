{#
    dbt's materialization by one builder, and none at all where the view is there as it should be:
    dbt's own puts a new one in its place on every run, for which it waits for the longest reader
    while others queue behind it, and drops what depends on the old one.
#}
{% materialization view, adapter='postgres' %}
    {% do ingot.lock_model() %}
    {% set existing = load_cached_relation(this) %}
    {% if not ingot.is_building() or existing is none or not existing.is_view or not ingot.is_view_of(existing, sql) %}
        {% do ingot.current_relation(make_intermediate_relation(this)) %}
        {% do ingot.current_relation(make_backup_relation(this, 'view')) %}
        {{ return(dbt.materialization_view_default()) }}
    {% endif %}
    {% do ingot.run_pre_hooks() %}
    {% call statement('main') %}
        select 'unchanged'
    {% endcall %}
    {% do apply_grants(existing, config.get('grants'), should_revoke=true) %}
    {% do persist_docs(existing, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [existing]}) }}
{% endmaterialization %}


{# Return whether a view has this definition, as PostgreSQL writes the two down. #}
{% macro is_view_of(view, sql) %}
    {% set fresh = make_temp_relation(view) %}
    {% do run_query('savepoint fresh') %}
    {% do run_query('create temporary view ' ~ fresh ~ ' as (' ~ sql ~ '\n)') %}
    {% set is_same = run_query(
        "select pg_get_viewdef('" ~ view ~ "'::regclass) = pg_get_viewdef('" ~ fresh ~ "'::regclass)"
    ).columns[0].values()[0] %}
    {% do run_query('rollback to savepoint fresh') %}
    {{ return(is_same and not config.get('contract').enforced) }}
{% endmacro %}
