{#
    Render the statement that gives `built` what `table` has and no model says: its owner, its
    privileges and its columns' (to the letter: default privileges of the schema, revoked since,
    stay revoked), comments and storage parameters. A privilege that somebody other than the
    owner has granted is granted by the owner.
#}
{% macro carry_over_sql(table, built) %}
    do $carry$
    declare
        old_table constant pg_class := (select c from pg_class as c where oid = '{{ table }}'::regclass);
        new_table constant regclass := '{{ built }}'::regclass;
        step text;
    begin
        execute format('alter table %s owner to %s', new_table, old_table.relowner::regrole);

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

            select format('revoke all on %s from %s', new_table, {{ grantee_sql() }})
            from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
            where pg_class.oid = new_table
            union all
            select format(
                'grant %s on %s to %s', privilege_type, new_table, {{ grantee_sql() }}
            ) || case when is_grantable then ' with grant option' else '' end
            from aclexplode(coalesce(old_table.relacl, acldefault('r', old_table.relowner)))
            union all
            select format(
                'grant %s (%I) on %s to %s', privilege_type, attname, new_table, {{ grantee_sql() }}
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
        loop
            execute step;
        end loop;
    end
    $carry$;
{% endmacro %}


{% macro grantee_sql() -%}
    case grantee when 0 then 'public' else grantee::regrole::text end
{%- endmacro %}
