{#
    Stop before anything is built where a relink would lose something, each thing by its name.
    Whatever PostgreSQL knows to depend on the table counts, but for what is made anew: views
    that read it, extended statistics, and the model's own indexes and constraints.
#}
{% macro refuse_what_a_relink_loses(table) %}
    {% set constraints = model.columns.values() | map(attribute='constraints') | sum(start=[]) %}
    {% set declared = (constraints + model.constraints) | map(attribute='type') | list %}
    {% set losses %}
        with

        this_table as (
            select * from pg_class where oid = '{{ table }}'::regclass
        ),

        dependents as (
            select distinct pg_depend.classid, pg_depend.objid, pg_depend.objsubid
            from this_table
            inner join pg_type as row_type on row_type.oid = reltype
            inner join pg_depend
                on
                    (refclassid = 'pg_class'::regclass and refobjid = this_table.oid)
                    or (
                        refclassid = 'pg_type'::regclass
                        and refobjid in (row_type.oid, row_type.typarray)
                    )
            where deptype in ('n', 'a')
        )

        select pg_describe_object(classid, objid, objsubid) as loss
        from dependents
        left join pg_index on classid = 'pg_class'::regclass and indexrelid = objid
        left join pg_attrdef on classid = 'pg_attrdef'::regclass and pg_attrdef.oid = objid
        left join pg_constraint on classid = 'pg_constraint'::regclass and pg_constraint.oid = objid
        left join pg_rewrite on classid = 'pg_rewrite'::regclass and pg_rewrite.oid = objid
        left join pg_class as reader on reader.oid = ev_class
        cross join this_table
        where
            this_table.oid is distinct from indrelid
            and this_table.oid is distinct from adrelid
            and not coalesce(
                conrelid = this_table.oid
                and (contype <> 'f' or {{ 'foreign_key' in declared }}),
                false
            )
            and not coalesce(reader.relkind = 'v' and rulename = '_RETURN', false)
            and classid <> 'pg_statistic_ext'::regclass
        union all
        select 'row security'
        from this_table
        where relrowsecurity
        union all
        select 'its place among the partitions or heirs of ' || inhparent::regclass
        from this_table
        inner join pg_inherits on inhrelid = oid
        union all
        select 'its partitions'
        from this_table
        where relkind = 'p'
        order by loss
    {% endset %}
    {% set found = run_query(losses).columns[0].values() | unique | join('; ') %}
    {% if found %}
        {{ exceptions.raise_compiler_error(
            'A full refresh of ' ~ table ~ ' builds a new table, which would lose: ' ~ found
            ~ '. Drop these, or set `full_refresh_mode: in_place` in the `meta` of its config.'
        ) }}
    {% endif %}
    {% do refuse_missing_rights(table) %}
    {% do warn_of_undeclared_indexes(table) %}
{% endmacro %}


{# The table's owner may be another role, and so may a view's: to act for it takes its rights. #}
{% macro refuse_missing_rights(table) %}
    {% set lacking %}
        select
            format('%s belongs to %s', relations.oid::regclass, relowner::regrole) as lack,
            format('grant %s to %I', relowner::regrole, current_user) as remedy
        from pg_class as relations
        where
            oid in (
                select '{{ table }}'::regclass::oid
                union all
                select view_id from ({{ direct_views_sql(table) }}) as views
            )
            and not pg_has_role(relowner, 'usage')
        union all
        select
            format('%s is in the schema %s', view_id::regclass, relnamespace::regnamespace),
            format('grant create on schema %s to %I', relnamespace::regnamespace, current_user)
        from ({{ direct_views_sql(table) }}) as views
        inner join pg_class on oid = view_id
        where not has_schema_privilege(relnamespace, 'create')
        union all
        select
            format('%s belongs to %s, which may not create there', oid::regclass, relowner::regrole),
            format('grant create on schema %s to %s', relnamespace::regnamespace, relowner::regrole)
        from pg_class
        where
            oid = '{{ table }}'::regclass
            and not has_schema_privilege(relowner, relnamespace, 'create')
        order by lack
    {% endset %}
    {% set found = run_query(lacking) %}
    {% if found.rows | length > 0 %}
        {{ exceptions.raise_compiler_error(
            'A full refresh of ' ~ table ~ ' makes anew what this role may not: '
            ~ found.columns['lack'].values() | join('; ') ~ '. Run: '
            ~ found.columns['remedy'].values() | unique | join('; ') ~ '.'
        ) }}
    {% endif %}
{% endmacro %}


{# TRUNCATE would need all tables that refer to this one. #}
{% macro refuse_what_a_truncate_breaks(table) %}
    {% set referring %}
        select format('%s on %s', conname, conrelid::regclass) as reference
        from pg_constraint
        where
            confrelid = '{{ table }}'::regclass
            and contype = 'f' and conrelid <> confrelid
        order by reference
    {% endset %}
    {% set found = run_query(referring).columns[0].values() | join('; ') %}
    {% if found %}
        {{ exceptions.raise_compiler_error(
            'A full refresh of ' ~ table ~ ' in place empties it, which foreign keys forbid: '
            ~ found ~ '. Drop these first.'
        ) }}
    {% endif %}
{% endmacro %}


{# The model's config says which indexes there are; dbt names them by an md5. #}
{% macro warn_of_undeclared_indexes(table) %}
    {% set undeclared %}
        select relname
        from pg_index
        inner join pg_class on pg_class.oid = indexrelid
        where
            indrelid = '{{ table }}'::regclass
            and relname !~ '^[0-9a-f]{32}$'
            and indexrelid not in (select conindid from pg_constraint)
        order by relname
    {% endset %}
    {% set found = run_query(undeclared).columns[0].values() | join(', ') %}
    {% if found %}
        {% do exceptions.warn(
            'The full refresh of ' ~ table ~ ' drops ' ~ found ~ ': name such an index in the '
            ~ "model's `indexes` to keep it."
        ) %}
    {% endif %}
{% endmacro %}
