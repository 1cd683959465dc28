{#
    Empty the table and fill it again in one transaction, the model's own indexes dropped before
    and created after. Views, grants, triggers and all else stay, and a second copy on disk is
    not needed; readers wait for the commit, and to older snapshots the table is empty.
#}
{% macro rebuild_in_place(table) %}
    {% set patience_seconds = config.meta_get('swap_patience_seconds', 600) %}
    {% set column_names = adapter.get_columns_in_relation(table) | map(attribute='name') | list %}
    {% set obstacle %}
    {%- call ingot.in_a_gap([table], patience_seconds) %}
        {{ ingot.bound_wait() }}
        lock table {{ table }} in access exclusive mode;
    {% endcall -%}
    {% endset %}
    {% do ingot.check_refresh(table, 'in place found no moment in ' ~ patience_seconds ~ ' s',
        [obstacle | trim] | select | list) %}
    {% set sql = ingot.gathered_sql(sql) %}
    {% call statement('main') %}
        {{ ingot.drop_own_indexes_sql(table) }}
        truncate {{ table }};
        insert into {{ table }} ({{ ingot.quoted_list(column_names) }})
        select {{ ingot.quoted_list(column_names) }}
        from (
            {{ sql }}
        ) as model_subq;
        {{ ingot.drop_gathered_sql() }}
    {% endcall %}
    {% do create_indexes(table) %}
    {% do run_query('analyze ' ~ table) %}
    {% do apply_grants(table, config.get('grants'), should_revoke=true) %}
    {% do persist_docs(table, model) %}
{% endmacro %}


{# dbt names its indexes by an md5. Those that it has not made stay. #}
{% macro drop_own_indexes_sql(table) %}
    do $drop$
    declare
        own_index regclass;
    begin
        for own_index in
            select indexrelid
            from pg_index
            inner join pg_class on pg_class.oid = indexrelid
            where indrelid = '{{ table }}'::regclass and relname ~ '^[0-9a-f]{32}$'
        loop
            execute format('drop index %s', own_index);
        end loop;
    end
    $drop$;
{% endmacro %}
