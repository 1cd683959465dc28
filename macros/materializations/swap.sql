{#
    Build beside the table, commit, and put the new table in its place, or change the old one's
    rows to the new ones where no moment for that comes.

    Built and swapped in two transactions: with wal_level = minimal a commit writes the new files
    to disk, 0.2 s for 2M rows, which no reader should wait for. Before the second, a failure leaves
    what was built, which the next full refresh drops; the old table is dropped in a third.

    Return whether the swap is committed. Readers should wait neither for dbt, which may have to
    wait for a processor, nor for the disk: so the commit goes with the swap where no hook has to
    see the new table before it. Ingot's own hook only writes the ledger, and goes first.
#}
{% macro build_and_swap(table, built, can_differ) %}
    {% call statement('main') %}
        {{ get_create_table_as_sql(False, built, sql) }}
    {% endcall %}
    {% do create_indexes(built) %}
    {% do run_query('analyze ' ~ built) %}
    {% do ingot.copy_to_nodes(built) %}
    {% do adapter.commit() %}

    {% do ingot.begin_transaction() %}
    {% set carried = run_query(ingot.carried_sql(table)).columns[0].values()[0] %}
    {% do run_query(ingot.carry_over_sql(table, built)) %}
    {% do apply_grants(built, config.get('grants'), should_revoke=true) %}
    {% do persist_docs(built, model) %}
    {% set patience_seconds = config.meta_get('swap_patience_seconds', 10 if can_differ else 600) %}
    {% set hooks = post_hooks | selectattr('transaction') | map(attribute='sql') | map('replace', 'ingot.', '') %}
    {# The name stands apart from its parentheses: it is compared here, not called. #}
    {% set commits = not hooks | reject('equalto', '{{ %s() }}' % 'mark_applied') | list %}
    {% set obstacle = ingot.swap(table, built, patience_seconds, commits, carried) %}
    {% if not obstacle %}
        {{ return(commits) }}
    {% endif %}
    {% if not can_differ %}
        {{ exceptions.raise_compiler_error(
            table ~ ' was not free for a moment in ' ~ patience_seconds ~ ' s; it stays as it was: '
            ~ obstacle ~ '. Let it end, or raise `meta.swap_patience_seconds`, then run again.'
        ) }}
    {% endif %}
    {% do log(table ~ ' goes by difference, since it was not free for a swap in '
        ~ patience_seconds ~ ' s: ' ~ obstacle, info=true) %}
    {% do ingot.change_rows(table, built) %}
    {{ return(false) }}
{% endmacro %}


{#
    Everything in one attempt. What is attached is compared first, since that takes longer than
    all else: most DDL on the two tables does not pass the lock that in_a_gap holds, and what needs
    no such lock is looked for again in the end, with what was carried over. What is locked first
    is what others lock first: the relations that the views read, which pg_get_viewdef locks, then
    the views, then the tables. The old table is dropped afterwards: a commit that drops files waits for the disk.
#}
{% macro swap(table, built, patience_seconds, commits, carried) %}
    {% set retired = ingot.retired_relation(table) %}
    {% set obstacle %}
    {%- call ingot.in_a_gap([table, built], patience_seconds, after_snapshots=true, commits=commits) %}
        declare
            search_path_before constant text := current_setting('search_path');
            attachments_before constant text := ({{ ingot.lockless_attachments_sql(table) }});
            definitions text[];
            step text;
        begin
            select string_agg(what, '; ') into step
            from ({{ ingot.attachments_sql(table, built) }}) as attachments
            where kind = 'attached';
            if step is not null then
                raise exception using message = format(
                    'While {{ table }} was built, somebody attached what a swap would lose: %s. '
                    'It stays as it was: run again.', step
                );
            end if;

            {{ ingot.mark_applied() if commits else ingot.check_loads_sql() }}
            attempt_ends_at := clock_timestamp() + interval '20 ms';
            for step in
                select format('select pg_get_viewdef(%s)', view_id) from ({{ ingot.direct_views_sql(table) }}) as views
                union all
                {# Without effect. `lock table` would lock all else that the view reads. #}
                select format('alter view %s owner to %s', view_id::regclass, view_owner)
                from ({{ ingot.direct_views_sql(table) }}) as views
                union all
                values
                ('lock table {{ table }} in access exclusive mode'),
                ('lock table {{ built }} in access exclusive mode')
            loop
                {{ ingot.bound_wait() }}
                execute step;
            end loop;
            if ({{ ingot.lockless_attachments_sql(table) }}) is distinct from attachments_before then
                raise lock_not_available using message = 'somebody attaches something to it';
            end if;
            if ({{ ingot.carried_sql(table) }}) is distinct from {{ ingot.literal(carried) }} then
                raise exception 'While {{ table }} was built, somebody changed its privileges, comments or '
                    'storage parameters. It stays as it was: run again.';
            end if;

            -- With nothing visible, every name in a definition comes out qualified.
            set local search_path = '';
            definitions := array(
                select format(
                    'create or replace view %s %s as %s',
                    view_id::regclass,
                    'with (' || (
                        select string_agg(format('%I = %L', option_name, option_value), ', ')
                        from pg_options_to_table(reloptions)
                    ) || ')',
                    pg_get_viewdef(view_id)
                )
                from ({{ ingot.direct_views_sql(table) }}) as views
            );
            perform set_config('search_path', search_path_before, true);
            alter table {{ table }} rename to {{ adapter.quote(retired.identifier) }};
            alter table {{ built }} rename to {{ adapter.quote(table.identifier) }};
            foreach step in array definitions loop
                execute step;
            end loop;
        end;
    {% endcall -%}
    {% endset %}
    {{ return(obstacle | trim) }}
{% endmacro %}


{#
    Render the query for what may be attached to a table without a lock on it, as one text: what
    depends on it or on its row type, publications that name no tables, subscriptions, and comments
    on its constraints and indexes.
#}
{% macro lockless_attachments_sql(table) -%}
    select concat_ws(
        ' / ',
        (
            select string_agg(concat_ws(' ', classid, objid, objsubid), ',' order by classid, objid, objsubid)
            from pg_class
            left join pg_type on pg_type.oid = reltype
            inner join pg_depend
                on
                    (refclassid = 'pg_class'::regclass and refobjid = pg_class.oid)
                    or (refclassid = 'pg_type'::regclass and refobjid in (reltype, typarray))
            where pg_class.oid = '{{ table }}'::regclass
        ),
        (select string_agg(oid::text, ',' order by oid) from pg_publication),
        (select string_agg(oid::text, ',' order by oid) from pg_publication_namespace),
        (
            select string_agg(srsubid::text, ',' order by srsubid)
            from pg_subscription_rel
            where srrelid = '{{ table }}'::regclass
        ),
        (
            select string_agg(concat_ws(' ', classoid, objoid, description), ',' order by classoid, objoid)
            from pg_description
            where
                (classoid = 'pg_constraint'::regclass and objoid in (
                    select oid from pg_constraint where conrelid = '{{ table }}'::regclass
                ))
                or (classoid = 'pg_class'::regclass and objoid in (
                    select indexrelid from pg_index where indrelid = '{{ table }}'::regclass
                ))
        )
    )
{%- endmacro %}


{#
    Return the relation that the old table is until it is dropped. Not `__dbt_backup`: dbt's
    increments drop a table of that name with cascade.
#}
{% macro retired_relation(table) %}
    {{ return(make_intermediate_relation(table, '__dbt_retired')) }}
{% endmacro %}


{#
    Render the statement that gives `built` what `table` has and the model does not say: its privileges and
    its columns' (to the letter: default privileges of the schema, revoked since, stay revoked),
    comments and storage parameters. A privilege that somebody other than the owner has granted
    is granted by the owner.
#}
{% macro carry_over_sql(table, built) %}
    do $carry$
    declare
        old_table constant pg_class := (select c from pg_class as c where oid = '{{ table }}'::regclass);
        new_table constant regclass := '{{ built }}'::regclass;
        step text;
    begin
        for step in
            with kept_columns as (
                select was.attname, was.attacl, col_description(was.attrelid, was.attnum) as comment
                from pg_attribute as was
                inner join pg_attribute as is_now using (attname)
                where
                    was.attrelid = old_table.oid
                    and is_now.attrelid = new_table
                    and was.attnum > 0 and not was.attisdropped
            )

            select format('revoke all on %s from %s', new_table, {{ ingot.grantee_sql() }})
            from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
            where pg_class.oid = new_table
            union all
            select format(
                'grant %s on %s to %s', privilege_type, new_table, {{ ingot.grantee_sql() }}
            ) || case when is_grantable then ' with grant option' else '' end
            from aclexplode(coalesce(old_table.relacl, acldefault('r', old_table.relowner)))
            union all
            select format(
                'grant %s (%I) on %s to %s', privilege_type, attname, new_table, {{ ingot.grantee_sql() }}
            ) || case when is_grantable then ' with grant option' else '' end
            from kept_columns, aclexplode(attacl)
            union all
            select format('comment on column %s.%I is %L', new_table, attname, comment)
            from kept_columns
            where comment is not null
            union all
            select format('comment on table %s is %L', new_table, obj_description(old_table.oid, 'pg_class'))
            union all
            select format('alter table %s set (%I = %L)', new_table, option_name, option_value)
            from pg_options_to_table(old_table.reloptions)
            {{ "where option_name <> 'fillfactor'" if config.meta_get('fillfactor') }}
        loop
            execute step;
        end loop;
    end
    $carry$;
{% endmacro %}


{# Render the query for what carry_over_sql carries over, as one text. #}
{% macro carried_sql(table) -%}
    select md5(concat_ws(
        ' / ',
        pg_class.relacl,
        pg_class.reloptions,
        (
            select string_agg(concat_ws(' ', attnum, attacl), ',' order by attnum)
            from pg_attribute
            where attrelid = pg_class.oid and attacl is not null
        ),
        (
            select string_agg(concat_ws(' ', objsubid, description), ',' order by objsubid)
            from pg_description
            where classoid = 'pg_class'::regclass and objoid = pg_class.oid
        )
    ))
    from pg_class
    where oid = '{{ table }}'::regclass
{%- endmacro %}


{% macro grantee_sql() -%}
    case grantee when 0 then 'public' else grantee::regrole::text end
{%- endmacro %}
