{#
    Render the statements that put `built` in the place of `table`: lock, rename, define anew the
    views that read the table directly (views on those keep their footing), drop the old table.
    The drop is `restrict`: what nobody thought of stops the refresh and is not dropped with it.
#}
{% macro relink_sql(table, built, retired) %}
    {{ exclusive_lock_sql(table, with_views=true) }}
    do $relink$
    declare
        search_path_before constant text := current_setting('search_path');
        view_definitions text[];
        statistics_definitions text[];
        definition text;
    begin
        -- With nothing visible, every name in a definition comes out qualified.
        set local search_path = '';
        view_definitions := array(
            select format(
                'create or replace view %s %s as %s',
                view_id::regclass,
                'with (' || (
                    select string_agg(format('%I = %L', option_name, option_value), ', ')
                    from pg_options_to_table(reloptions)
                ) || ')',
                pg_get_viewdef(view_id)
            )
            from ({{ direct_views_sql(table) }}) as views
        );
        statistics_definitions := array(
            select pg_get_statisticsobjdef(oid)
            from pg_statistic_ext
            where stxrelid = '{{ table }}'::regclass
        );
        perform set_config('search_path', search_path_before, true);

        alter table {{ table }} rename to {{ adapter.quote(retired.identifier) }};
        alter table {{ built }} rename to {{ adapter.quote(table.identifier) }};
        foreach definition in array view_definitions loop
            execute definition;
        end loop;
        drop table {{ retired }} restrict;
        foreach definition in array statistics_definitions loop
            execute definition;
        end loop;
    end
    $relink$;
{% endmacro %}
