{#
    Stop a build that needs raw rows which `prune` has removed, before it begins, with the command
    that lands them again. A build that reads all loads needs all of them. An increment needs those
    of loads that the model has not applied, and those of files at or after the oldest pending one:
    without them an older version would overwrite a newer one.
#}
{% macro check_rows_are_there(source_name, list) %}
    {% if not ingot.is_building() %}
        {{ return(none) }}
    {% endif %}
    {% set needed %}
        with

        pruned_files as (
            select
                load_id,
                records,
                {{ ingot.run_id_sql() }} as run_id,
                load_id not in (
                    select load_id from ops.applied_loads where model = {{ ingot.model_name_sql() }}
                ) as is_unapplied,
                {% if list.oldest -%}
                ({{ ingot.run_id_sql() }} collate "C", first_load_id) >= {{ list.oldest.version }}
                {%- else -%}
                false
                {%- endif %} as is_newer
            from ops.files
            where
                released_at is null
                and records > 0
                and load_id in (
                    select load_id from ops.loads
                    where status = 'pruned' and {{ ingot.of_table_sql(list.relation) }}
                )
        )

        select
            count(distinct load_id) as loads,
            sum(records) as records,
            bool_or(is_unapplied) as is_unapplied,
            max(run_id collate "C") as newest_run
        from pruned_files
        {{ 'where is_unapplied or is_newer' if list.scope == 'pending' }}
        having count(*) > 0
    {% endset %}
    {% for row in run_query(needed).rows %}
        {% set since = '' %}
        {% if list.scope == 'all' %}
            {% set reason = 'it reads all of them' %}
        {% elif row['is_unapplied'] %}
            {% set reason = 'it has not applied all of them' %}
        {% else %}
            {% set reason = list.oldest.path ~ ' is older than what was pruned'
                ~ (' up to run ' ~ row['newest_run'] if row['newest_run']) %}
            {# What is older than this file needs no landing. A run with other characters is no shell's word. #}
            {% set since = ' --since ' ~ list.oldest.run_id
                if modules.re.fullmatch('[\\w.:+-]+', list.oldest.run_id) else '' %}
        {% endif %}
        {{ exceptions.raise_compiler_error(
            this.schema ~ '.' ~ this.identifier ~ ' needs rows of ' ~ list.raw_table ~ ' that were pruned ('
            ~ row['records'] ~ ' records, of loads: ' ~ row['loads'] ~ '), since ' ~ reason ~ '. It stays as it was: run `'
            ~ ingot.loader_command() ~ ' load --restore ' ~ source_name ~ since
            ~ '`, which lands them again from bronze, then build again.'
        ) }}
    {% endfor %}
{% endmacro %}
