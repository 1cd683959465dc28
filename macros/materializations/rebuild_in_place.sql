{#
    Empty the table and fill it again in one transaction, its secondary indexes dropped before
    and created after. Views, grants, triggers and all else stay, and a second copy on disk is
    not needed; readers wait for the commit.
#}
{% macro rebuild_in_place(table) %}
    {% do refuse_what_a_truncate_breaks(table) %}
    {% do run_pre_hooks() %}
    {% do refuse_changed_columns(table, sql) %}
    {% do warn_of_undeclared_indexes(table) %}

    {% set column_names = adapter.get_columns_in_relation(table) | map(attribute='name') | list %}
    {% call statement('main') %}
        {{ exclusive_lock_sql(table, with_views=false) }}
        {{ drop_secondary_indexes_sql(table) }}
        truncate {{ table }};
        insert into {{ table }} ({{ quoted_list(column_names) }})
        select {{ quoted_list(column_names) }}
        from (
            {{ sql }}
        ) as model_subq
    {% endcall %}
    {% do create_indexes(table) %}
    {% do run_query('analyze ' ~ table) %}
    {% do apply_grants(table, config.get('grants'), should_revoke=true) %}
    {% do persist_docs(table, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
{% endmacro %}


{# Those behind a constraint stay: other tables' foreign keys and upserts may rest on them. #}
{% macro drop_secondary_indexes_sql(table) %}
    do $drop$
    declare
        secondary_index regclass;
    begin
        for secondary_index in
            select indexrelid
            from pg_index
            where
                indrelid = '{{ table }}'::regclass
                and indexrelid not in (select conindid from pg_constraint)
        loop
            execute format('drop index %s', secondary_index);
        end loop;
    end
    $drop$;
{% endmacro %}
