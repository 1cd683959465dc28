{#
    Render the predicate that picks the loads that this model has yet to read, as a literal list
    decided once a run. A literal, because a subquery or a max() watermark loses loads that
    commit late and cannot prune; and because mark_applied then records the very list that was
    read (see loads_read).

    On a first build or a full refresh these are all complete loads of the table. On an
    increment they are the complete ones that hold a file at or after the oldest pending one, in
    the order of versions: loads can complete in any order, and reading the later versions again
    lets the newest of a key win inside the delta. So an older version never overwrites a newer
    one, without a version in core. Records of older files in these loads are left out: the
    newest version of their key may be in a load that is not read again.

    Where a pending load has taken rows of earlier ones away (a source that delivers partitions or
    whole tables, a `load --full-refresh`), all loads are read, and the increment is a refresh by
    difference (see must_compare).
#}
{% macro pending_loads(source_name, table_name) %}
    {# `dbt compile` and the linter need no ledger; a run was stopped by require_ledger. #}
    {% if not execute or not ingot.has_ledger() %}
        {{ return('false') }}
    {% endif %}

    {% set source_table = ingot.raw_table_of(source_name, table_name) %}
    {% set raw_table = source_table.schema ~ '.' ~ source_table.identifier %}
    {% if raw_table not in ingot.loads_read() %}
        {% do ingot.lock_model() %}
        {% set is_increment = is_incremental() %}
        {% set must_compare = is_increment and ingot.has_replacing_loads(source_table) %}
        {% set list = {
            'raw_table': raw_table,
            'relation': source_table,
            'scope': 'pending' if is_increment and not must_compare else 'all',
            'must_compare': must_compare,
        } %}
        {% do list.update(ingot.wanted_loads(source_table, list.scope)) %}
        {% do ingot.loads_read().update({raw_table: list}) %}
    {% endif %}
    {{ return(ingot.loads_read()[raw_table].predicate) }}
{% endmacro %}


{# Tell whether a load that this model has not applied took rows of earlier ones away. #}
{% macro has_replacing_loads(source_table) %}
    {% set found = run_query(
        'select 1 from ops.loads where replaces and status = \'complete\' and ' ~ ingot.of_table_sql(source_table)
        ~ ' and load_id not in (select load_id from ops.applied_loads where model = '
        ~ ingot.model_name_sql() ~ ') limit 1'
    ) %}
    {{ return(found.rows | length == 1) }}
{% endmacro %}


{# Return the ids of the loads to read, and the predicate that picks their rows. #}
{% macro wanted_loads(source_table, scope) %}
    {% set wanted %}
        with

        complete_loads as (
            select load_id
            from ops.loads
            where status = 'complete' and {{ ingot.of_table_sql(source_table) }}
        ),

        {# One query, so that no load completes between its answers. #}
        complete_files as (
            select
                load_id,
                load_id not in (
                    select load_id from ops.applied_loads where model = {{ ingot.model_name_sql() }}
                ) as is_pending,
                {{ ingot.run_id_sql() }} as run_id,
                first_load_id
            from ops.files
            where load_id in (select load_id from complete_loads)
        ),

        oldest as (
            select run_id, first_load_id
            from complete_files
            {{ 'where is_pending' if scope == 'pending' }}
            order by run_id collate "C", first_load_id
            limit 1
        )

        select
            load_id,
            {{ ingot.hex_of_text('oldest.run_id') }} as run_hex,
            oldest.first_load_id,
            bool_or(
                (complete_files.run_id collate "C", complete_files.first_load_id)
                < (oldest.run_id, oldest.first_load_id)
            ) as has_older
        from complete_files
        cross join oldest
        group by load_id, oldest.run_id, oldest.first_load_id
        having bool_or(
            (complete_files.run_id collate "C", complete_files.first_load_id)
            >= (oldest.run_id, oldest.first_load_id)
        )
        order by load_id
    {% endset %}
    {% if scope == 'pending' %}
        {% do ingot.warn_of_discarded_loads(source_table) %}
    {% endif %}
    {% set found = run_query(wanted) %}
    {% set load_ids = found.columns['load_id'].values() | map('int') | list %}
    {% if not load_ids %}
        {{ return({'load_ids': [], 'predicate': 'false'}) }}
    {% endif %}
    {% set predicate = ingot.is_one_of('_load_id', load_ids) %}
    {% if true in found.columns['has_older'].values() %}
        {% set oldest = found.rows[0] %}
        {% set predicate = predicate ~ ' and (_run_id collate "C", _first_load_id) >= ('
            ~ ingot.text_of_hex(oldest['run_hex']) ~ ', '
            ~ oldest['first_load_id'] | int ~ ')' %}
    {% endif %}
    {{ return({'load_ids': load_ids, 'predicate': predicate}) }}
{% endmacro %}


{% macro of_table_sql(relation) -%}
    table_schema = {{ ingot.literal(relation.schema) }} and table_name = {{ ingot.literal(relation.identifier) }}
{%- endmacro %}


{# From the graph, not through source(): core depends on the staging view, not on the source. #}
{% macro raw_table_of(source_name, table_name) %}
    {% set tables = graph.sources.values() | selectattr('source_name', 'equalto', source_name) %}
    {% for table in tables if table.name == table_name %}
        {{ return({'schema': table.schema, 'identifier': table.identifier}) }}
    {% endfor %}
    {{ exceptions.raise_compiler_error(
        "pending_loads: there is no source '" ~ source_name ~ "." ~ table_name
        ~ "': name one that a _sources.yml declares."
    ) }}
{% endmacro %}


{% macro warn_of_discarded_loads(source_table) %}
    {% set discarded %}
        select load_id
        from ops.applied_loads
        inner join ops.loads using (load_id)
        where
            model = {{ ingot.model_name_sql() }}
            and status <> 'complete'
            and {{ ingot.of_table_sql(source_table) }}
        order by load_id
    {% endset %}
    {% set load_ids = run_query(discarded).columns[0].values() | join(', ') %}
    {% if load_ids %}
        {% do exceptions.warn(
            this.schema ~ '.' ~ this.identifier ~ ' still holds rows of loads that were discarded since ('
            ~ load_ids ~ '): run `dbt run --full-refresh --select ' ~ this.identifier ~ '`.'
        ) %}
    {% endif %}
{% endmacro %}


{# Render the condition that `column` is one of these numbers, as a literal. #}
{% macro is_one_of(column, numbers) -%}
    {{ adapter.dispatch('is_one_of', 'ingot')(column, numbers) }}
{%- endmacro %}


{% macro postgres__is_one_of(column, numbers) -%}
    {{ column }} = any('{{ "{" ~ numbers | join(',') ~ "}" }}'::integer[])
{%- endmacro %}


{% macro duckdb__is_one_of(column, numbers) -%}
    {{ column }} in ({{ numbers | join(', ') }})
{%- endmacro %}
