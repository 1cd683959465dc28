{#
    Stop before the rows are built where a view that reads the table would break: it needs each
    of its columns with the type that it has now. Asked of an empty table, since only that has
    the exact types.
#}
{% macro refuse_columns_that_views_miss(table, sql) %}
    {% set readers %}
        select format('%s (column %I)', view_id::regclass, attname) as reader
        from ({{ direct_views_sql(table) }}) as views
        inner join pg_rewrite on ev_class = view_id
        inner join pg_depend on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
        inner join pg_attribute as was on attrelid = refobjid and attnum = refobjsubid
        where
            refclassid = 'pg_class'::regclass and refobjid = '{{ table }}'::regclass
            and not exists ({{ same_column_sql() }})
        order by reader
    {% endset %}
    {% do refuse_columns(
        readers, sql, 'changes columns that views read', 'Drop these views, and create them anew '
        ~ 'after it (`dbt run` does, where they are models)'
    ) %}
{% endmacro %}


{# In place, the table keeps its columns. #}
{% macro refuse_changed_columns(table, sql) %}
    {% set changed %}
        select attname
        from pg_attribute as was
        where
            attrelid = '{{ table }}'::regclass and attnum > 0 and not attisdropped
            and not exists ({{ same_column_sql() }})
        union all
        select attname
        from pg_attribute as will_be
        where
            attrelid = 'pg_temp.ingot_columns'::regclass and attnum > 0
            and attname not in (
                select attname
                from pg_attribute
                where attrelid = '{{ table }}'::regclass and not attisdropped
            )
        order by attname
    {% endset %}
    {% do refuse_columns(
        changed, sql, 'in place cannot change columns',
        'Set `full_refresh_mode: relink` in the `meta` of its config for this run'
    ) %}
{% endmacro %}


{% macro same_column_sql() %}
    select
    from pg_attribute as will_be
    where
        will_be.attrelid = 'pg_temp.ingot_columns'::regclass
        and will_be.attname = was.attname
        and will_be.atttypid = was.atttypid
        and will_be.atttypmod = was.atttypmod
        and will_be.attcollation = was.attcollation
{% endmacro %}


{% macro refuse_columns(question, sql, problem, remedy) %}
    {% call statement('columns') %}
        create temporary table ingot_columns as
        {{ contracted_select_sql(sql) }}
        with no data
    {% endcall %}
    {% set found = run_query(question).columns[0].values() | unique | join(', ') %}
    {% do run_query('drop table pg_temp.ingot_columns') %}
    {% if found %}
        {{ exceptions.raise_compiler_error(
            'The full refresh of ' ~ this ~ ' ' ~ problem ~ ': ' ~ found ~ '. ' ~ remedy ~ '.'
        ) }}
    {% endif %}
{% endmacro %}
