{#
    Render the query for what a table has and `fresh`, the same model built anew, has not. What
    differs in the catalogs counts, whatever it is, but for what is listed here as of no meaning
    or carried over by a swap. A row is a kind and what it is of:

    attached    what a swap would lose
    column      a column that the model changes, drops or adds
    lacking     a constraint or an index that the model declares and the table has not
    in_place    what a rebuild in place would lose, or leave missing
    view        a view's column that rests on a changed column
    reference   a foreign key of another table, which a truncate or a delete would break
    blocking    what stands in the way of inserts, updates and deletes that change these rows alone

    A column behind the model's last was added by hand; any other that the model has not, the
    model has dropped. An index named by an md5 is dbt's own, a constraint named after the name
    that a table is built under a contract's.
#}
{% macro attachments_sql(table, fresh) %}
    {% set made_as = make_intermediate_relation(table).identifier %}
    with

    pair (is_live, relation) as (
        values (true, '{{ table }}'::regclass), (false, '{{ fresh }}'::regclass)
    ),

    tables as (
        select pair.*, pg_class.* from pair inner join pg_class on pg_class.oid = relation
    ),

    columns as (
        select pair.*, pg_attribute.*
        from pair
        inner join pg_attribute on attrelid = relation
        where attnum > 0 and not attisdropped
    ),

    changed_columns as (
        select
            attname,
            was.attnum,
            will_be.attnum is null and was.attnum > (
                select max(attnum) from columns
                where is_live and attname in (select attname from columns where not is_live)
            ) as is_by_hand
        from (select * from columns where is_live) as was
        full join (select * from columns where not is_live) as will_be using (attname)
        where
            (was.atttypid, was.atttypmod, was.attcollation)
            is distinct from (will_be.atttypid, will_be.atttypmod, will_be.attcollation)
    ),

    indexes as (
        select
            tables.is_live,
            index_class.oid,
            index_class.relname,
            regexp_replace(replace(pg_get_indexdef(index_class.oid), format(
                'INDEX %I ON %I.%I ', index_class.relname, nspname, tables.relname
            ), ''), ' WITH \([^)]*\)', '') as definition,
            concat(
                index_class.reloptions,
                to_jsonb(pg_index) - '{indexrelid,indrelid,indkey,indexprs,indpred,indcheckxmin}'::text[]
                {#
                    An operator class or collation that the definition does not name follows from the column's type.
                    indkey lacks the columns of expressions and predicates, pg_depend those of a constraint's index.
                #}
                - case
                    when exists (
                        select from columns
                        inner join changed_columns using (attname)
                        where columns.relation = tables.relation and (
                            columns.attnum = any(indkey) or exists (
                                select from pg_depend
                                where
                                    classid = 'pg_class'::regclass and objid = indexrelid
                                    and refobjid = tables.relation and refobjsubid = columns.attnum
                            )
                        )
                    ) then '{indclass,indcollation}'::text[]
                    else '{}'
                end,
                to_jsonb(index_class) - {{ ingot.incidental_columns() }},
                (
                    select jsonb_agg(array[attstattarget::text, attoptions::text] order by attnum)
                    from pg_attribute
                    where attrelid = indexrelid
                )
            ) as details
        from tables
        inner join pg_namespace on pg_namespace.oid = tables.relnamespace
        inner join pg_index on indrelid = relation
        inner join pg_class as index_class on index_class.oid = indexrelid
    ),

    constraints as (
        select
            is_live,
            pg_constraint.oid,
            conname,
            pg_get_constraintdef(pg_constraint.oid) as definition,
            to_jsonb(pg_constraint) - array[
                'oid', 'conname', 'conrelid', 'conkey', 'conbin', 'conindid', 'conexclop'
            ] as details
        from pair
        inner join pg_constraint on conrelid = relation
        where conkey is null or not conkey && array(select attnum from changed_columns where attnum > 0)
    ),

    dependents as (
        select distinct is_live, relation, classid, objid, objsubid, refclassid
        from tables
        left join pg_type on pg_type.oid = reltype
        inner join pg_depend
            on
                (refclassid = 'pg_class'::regclass and refobjid = relation)
                or (refclassid = 'pg_type'::regclass and refobjid in (reltype, typarray))
        where
            not (classid = 'pg_class'::regclass and objid = reltoastrelid)
            and not (classid = 'pg_type'::regclass and objid in (reltype, typarray))
    ),

    views as ({{ ingot.direct_views_sql(table) }}),

    traits (is_live, definition, details, display) as (
        select is_live, 'table ' || key, value, format('%s = %s', key, value)
        from tables
        cross join jsonb_each_text(to_jsonb(tables) - {{ ingot.incidental_columns() }})
        union all
        select is_live, 'toast', toast.reloptions::text, 'the parameters of its toast table'
        from tables
        inner join pg_class as toast on toast.oid = tables.reltoastrelid
        where toast.reloptions is not null
        union all
        select is_live, concat_ws(' ', attname, key), value, format('column %I: %s = %s', attname, key, value)
        from columns
        cross join jsonb_each_text(to_jsonb(columns) - array[
            'is_live', 'relation', 'attrelid', 'attnum', 'attname', 'attacl', 'attcacheoff', 'attndims',
            'atttypid', 'atttypmod', 'attcollation', 'atthasmissing', 'attmissingval',
            {# From PostgreSQL 18 on it is a constraint like others. #}
            case when current_setting('server_version_num')::integer >= 180000 then 'attnotnull' end
        ])
        where attname not in (select attname from changed_columns)
        union all
        select true, attname, '', format('column %I, which the model has not', attname)
        from changed_columns
        where is_by_hand
        union all
        select is_live, 'index ' || definition, details, 'index ' || relname from indexes
        union all
        select is_live, 'constraint ' || definition, details::text, 'constraint ' || conname
        from constraints
        union all
        select is_live, pg_describe_object(classid, objid, objsubid), '', replace(
            pg_describe_object(classid, objid, objsubid), '{{ fresh }}'::regclass::text,
            '{{ table }}'::regclass::text
        )
        from dependents
        where
            not (classid = 'pg_class'::regclass and objid in (select oid from indexes))
            and not (
                classid = 'pg_constraint'::regclass
                and objid in (select oid from pg_constraint where conrelid = relation)
            )
            {# Citus puts it on a distributed table. #}
            and not (classid = 'pg_trigger'::regclass and objid in (
                select oid from pg_trigger where tgisinternal and tgname ~ '^truncate_trigger'
            ))
            and not (
                classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
                and objid in (select rule_id from views)
            )
        union all
        select is_live, concat(refclassid, ' ', refobjid, deptype), '',
            'what it depends on: ' || pg_describe_object(refclassid, refobjid, refobjsubid)
        from pair
        inner join pg_depend
            on classid = 'pg_class'::regclass and objid = relation and objsubid = 0
        {# As every table that Citus distributes. #}
        where (refclassid, refobjid) not in (
            select 'pg_extension'::regclass, oid from pg_extension where extname = 'citus'
        )
        union all
        select is_live, concat(refclassid, ' ', refobjid, deptype), '', pg_describe_object(refclassid, refobjid, 0)
        from pair
        inner join pg_shdepend on classid = 'pg_class'::regclass and objid = relation
        where
            deptype not in ('o', 'a')
            and dbid = (select oid from pg_database where datname = current_database())
        union all
        select is_live, concat('comment', classoid, objoid), '', 'comment on ' || pg_describe_object(classoid, objoid, objsubid)
        from (
            select is_live, 'pg_class'::regclass as class_id, oid from indexes
            union all
            select is_live, 'pg_constraint'::regclass, oid from constraints
        ) as parts
        inner join pg_description on classoid = class_id and objoid = oid
        union all
        select is_live, concat('label', provider, objsubid), label,
            format('security label of %s on %s', provider, pg_describe_object(classoid, objoid, objsubid))
        from pair
        inner join pg_seclabel on classoid = 'pg_class'::regclass and objoid = relation
        union all
        select true, 'publication' || pubname, '', 'publication ' || pubname
        from tables
        inner join pg_namespace on pg_namespace.oid = relnamespace
        inner join pg_publication_tables on schemaname = nspname and tablename = relname
        where is_live
        union all
        select is_live, 'subscription', '', 'a subscription'
        from pair
        inner join pg_subscription_rel on srrelid = relation
        union all
        {# What this role may not define anew, or may not lock while it does. #}
        select true, view_id::text, '', format('view %s, which %I may not replace', view_id::regclass, current_user)
        from views
        inner join pg_class on oid = view_id
        where
            not pg_has_role(relowner, 'usage')
            or not has_schema_privilege(relnamespace, 'create')
    ),

    lost as (
        select * from traits
        where
            is_live
            and (definition, coalesce(details, '')) not in (
                select definition, coalesce(details, '') from traits where not is_live
            )
            {# What the model has declared before is no loss. #}
            and not (
                (
                    display ~ '^index [0-9a-f]{32}$'
                    or starts_with(display, {{ ingot.literal('constraint ' ~ made_as ~ '_') }})
                )
                and definition not in (select definition from traits where not is_live)
            )
    ),

    lacking as (
        select * from traits
        where
            not is_live
            and definition ~ '^(index|constraint) '
            and definition not in (select definition from traits where is_live)
    )

    select 'attached' as kind, display as what from lost
    union
    select 'lacking', replace(definition, 'CREATE ', '') from lacking
    union
    select 'in_place', display from lost
    where display ~ '(index \S*[0-9a-f]{32}"?|, which the model has not)$'
    union
    select 'in_place', definition from lacking where definition like 'constraint %'
    union
    select 'column', attname from changed_columns where not is_by_hand
    union
    select 'view', format('%s (column %I)', view_id::regclass, attname)
    from views
    inner join pg_depend on classid = 'pg_rewrite'::regclass and objid = rule_id
    inner join changed_columns on attnum = refobjsubid
    where refclassid = 'pg_class'::regclass and refobjid = '{{ table }}'::regclass and not is_by_hand
    union
    select 'reference', pg_describe_object('pg_constraint'::regclass, oid, 0)
    from pg_constraint
    where confrelid = '{{ table }}'::regclass and contype = 'f' and conrelid <> confrelid
    union
    select 'blocking', pg_describe_object('pg_trigger'::regclass, oid, 0)
    from pg_trigger
    where
        tgrelid = '{{ table }}'::regclass and not tgisinternal
        and tgenabled <> 'D' and tgtype & 1 = 1
    union
    select 'blocking', pg_describe_object('pg_rewrite'::regclass, oid, 0)
    from pg_rewrite
    where ev_class = '{{ table }}'::regclass
    union
    select 'blocking', 'table ' || inhrelid::regclass || ', which inherits from it'
    from tables
    inner join pg_inherits on inhparent = relation
    where is_live and relkind = 'r'
    union
    select 'blocking', 'row security' where row_security_active('{{ table }}'::regclass)
    order by kind, what
{% endmacro %}


{# Columns of pg_class that say nothing of a table, or that a swap carries over. #}
{% macro incidental_columns() -%}
    array[
        'is_live', 'relation', 'oid', 'relname', 'reltype', 'relfilenode', 'relpages', 'reltuples',
        'relallvisible', 'relallfrozen', 'relfrozenxid', 'relminmxid', 'reltoastrelid', 'relrewrite',
        'relnatts', 'relchecks', 'relhasindex', 'relhasrules', 'relhastriggers', 'relhassubclass',
        'relacl', 'reloptions'
    ]
{%- endmacro %}


{# Newest first: a view stands on older ones, and a reader locks it before these. #}
{% macro direct_views_sql(table) %}
    select distinct pg_class.oid as view_id, pg_rewrite.oid as rule_id, relowner::regrole as view_owner, reloptions
    from pg_depend
    inner join pg_rewrite on pg_rewrite.oid = objid
    inner join pg_class on pg_class.oid = ev_class
    where
        classid = 'pg_rewrite'::regclass
        and refclassid = 'pg_class'::regclass
        and refobjid = '{{ table }}'::regclass
        and relkind = 'v' and rulename = '_RETURN'
    order by view_id desc
{% endmacro %}
