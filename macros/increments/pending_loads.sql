{#
    Render the predicate that picks the loads that this model has yet to read, as a literal list
    decided once a run. A literal, because a subquery or a max() watermark loses loads that
    commit late and cannot prune; and because mark_applied then records the very list that was
    read, out of the compiled SQL.

    On a first build or a full refresh these are all complete loads of the table. On an
    increment they are the complete ones from the oldest pending on: loads can complete out of
    order, and reading the later ones again lets the newest version of a key win inside the
    delta. So an older version never overwrites a newer one, without a version in core.

    Where a hive key of the paths orders the versions (`ordered_by='run_id'`), the same holds of
    runs in place of loads: an increment reads every record from the oldest pending run on, out of
    the pending loads and of those others that hold such runs. Records of older runs in these are
    left out: the newest version of their key may be in a load that is not read again.
#}
{% macro pending_loads(source_name, table_name, ordered_by=none) %}
    {# `dbt compile` and the linter need no ledger; a run was stopped by require_ledger. #}
    {% if not execute or not has_ledger() %}
        {{ return('false') }}
    {% endif %}

    {% set raw_table = raw_table_of(source_name, table_name) %}
    {% set complete %}
        select load_id
        from ops.loads
        where
            table_schema = '{{ raw_table.schema }}'
            and table_name = '{{ raw_table.identifier }}'
            and status = 'complete'
    {% endset %}
    {% set pending %}
        {{ complete }} and load_id not in (
            select load_id
            from ops.applied_loads
            where model = '{{ this.schema }}.{{ this.identifier }}'
        )
    {% endset %}
    {% set run = "coalesce(hive_keys ->> '" ~ ordered_by ~ "', '') collate \"C\"" %}
    {% set scope = 'pending' if is_incremental() else 'all' %}
    {% if scope == 'all' %}
        {% set wanted = complete %}
    {% elif ordered_by %}
        {# One query, so that no load completes between its two answers. #}
        {% set wanted %}
            select load_id, oldest_run
            from ({{ complete }}) as complete_loads
            cross join (
                select min({{ run }}) as oldest_run
                from ops.files
                where load_id in ({{ pending }})
            ) as oldest
            where exists (
                select from ops.files
                where files.load_id = complete_loads.load_id and {{ run }} >= oldest_run
            )
        {% endset %}
    {% else %}
        {% set wanted %}
            {{ complete }}
            and load_id >= (select min(load_id) from ({{ pending }}) as pending_loads)
        {% endset %}
    {% endif %}
    {% if scope == 'pending' %}
        {% do warn_of_discarded_loads(raw_table) %}
    {% endif %}

    {% set found = run_query(wanted ~ ' order by load_id') %}
    {% set load_ids = found.columns[0].values() | join(',') %}
    {% set predicate = "_load_id = any('{" ~ load_ids ~ "}'::integer[])" if load_ids else 'false' %}
    {% if load_ids and found.columns | length > 1 %}
        {% set oldest_run = "'" ~ found.columns[1].values()[0] | replace("'", "''") ~ "'" %}
        {% set predicate = predicate ~ ' and _' ~ ordered_by ~ ' collate "C" >= ' ~ oldest_run %}
    {% endif %}
    {{ return(predicate ~ ' /* ' ~ scope ~ ' loads of ' ~ raw_table.schema ~ '.' ~ raw_table.identifier ~ ': {' ~ load_ids ~ '} */') }}
{% endmacro %}


{# From the graph, not through source(): core depends on the staging view, not on the source. #}
{% macro raw_table_of(source_name, table_name) %}
    {% set tables = graph.sources.values() | selectattr('source_name', 'equalto', source_name) %}
    {% for table in tables if table.name == table_name %}
        {{ return(table) }}
    {% endfor %}
    {{ exceptions.raise_compiler_error(
        "pending_loads: there is no source '" ~ source_name ~ "." ~ table_name
        ~ "': name one that a _sources.yml declares."
    ) }}
{% endmacro %}


{% macro warn_of_discarded_loads(raw_table) %}
    {% set model_name = this.schema ~ '.' ~ this.identifier %}
    {% set discarded %}
        select load_id
        from ops.applied_loads
        inner join ops.loads using (load_id)
        where
            model = '{{ model_name }}'
            and table_schema = '{{ raw_table.schema }}'
            and table_name = '{{ raw_table.identifier }}'
            and status <> 'complete'
        order by load_id
    {% endset %}
    {% set load_ids = run_query(discarded).columns[0].values() | join(', ') %}
    {% if load_ids %}
        {% do exceptions.warn(
            model_name ~ ' still holds rows of loads that were discarded since (' ~ load_ids
            ~ '): run `dbt run --full-refresh --select ' ~ this.identifier ~ '`.'
        ) %}
    {% endif %}
{% endmacro %}
