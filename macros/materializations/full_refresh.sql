{#
    Build the whole table, in the way that `meta.full_refresh_mode` names: `relink` builds beside
    the table and takes its place, `in_place` needs no second copy on disk, and readers wait.
#}
{% macro full_refresh(existing) %}
    {% set modes = ['relink', 'in_place'] %}
    {% set mode = config.meta_get('full_refresh_mode', 'relink') %}
    {% if mode not in modes %}
        {{ exceptions.raise_compiler_error(
            "full_refresh_mode of " ~ this ~ " is '" ~ mode ~ "': set it to "
            ~ modes | join(' or ') ~ ' in the `meta` of its config.'
        ) }}
    {% endif %}

    {% set target_relation = this.incorporate(type='table') %}
    {% if existing is none %}
        {% do build_and_relink(none, target_relation) %}
    {% elif mode == 'relink' %}
        {% do build_and_relink(existing, target_relation) %}
    {% else %}
        {% do rebuild_in_place(target_relation) %}
    {% endif %}

    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}


{#
    Two transactions. The first builds and commits: with wal_level = minimal a commit writes the
    new files to disk, 0.2 s for 2M rows, which no reader should wait for. The second, of
    milliseconds, puts the new table in the old one's place or changes nothing.
#}
{% macro build_and_relink(existing, target_relation) %}
    {% set built = make_intermediate_relation(target_relation) %}
    {% set retired = make_backup_relation(target_relation, 'table') %}

    {% if existing is not none %}
        {% do refuse_what_a_relink_loses(target_relation) %}
    {% endif %}
    {# A run that failed between the two transactions has left its table. #}
    {{ drop_relation_if_exists(load_cached_relation(built)) }}
    {{ drop_relation_if_exists(load_cached_relation(retired)) }}

    {% do run_pre_hooks() %}
    {% if existing is not none %}
        {% do refuse_columns_that_views_miss(target_relation, sql) %}
    {% endif %}
    {% call statement('main') %}
        {{ get_create_table_as_sql(False, built, sql) }}
    {% endcall %}
    {% do create_indexes(built) %}
    {% do run_query('analyze ' ~ built) %}
    {% do adapter.commit() %}

    {% do begin_again() %}
    {% if existing is not none %}
        {% do run_query(carry_over_sql(target_relation, built)) %}
    {% endif %}
    {% do apply_grants(built, config.get('grants'), should_revoke=existing is not none) %}
    {% do persist_docs(built, model) %}
    {% call statement('take_place') %}
        {% if existing is none %}
            alter table {{ built }} rename to {{ adapter.quote(target_relation.identifier) }}
        {% else %}
            {{ relink_sql(target_relation, built, retired) }}
        {% endif %}
    {% endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
{% endmacro %}


{% macro run_pre_hooks() %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% if pre_hooks | rejectattr('transaction') | list %}
        {% do begin_again() %}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
{% endmacro %}


{#
    dbt commits by the word, which its driver does not notice: the driver begins no transaction
    after it, and every later statement would be one of its own.
#}
{% macro begin_again() %}
    {% call statement('begin') %}begin{% endcall %}
{% endmacro %}
