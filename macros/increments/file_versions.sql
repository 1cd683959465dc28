{#
    Render the files of `raw_table` (a source) with the order of their records' versions, which
    does not depend on when they landed: the run, then the load in which the content was
    delivered first, which a full refresh of the raw table keeps, then the path. Only the order
    counts: a rank moves as files arrive, so compare ranks within one query. A file outside the
    run folders is older than all runs.

    In PostgreSQL arrays with ordinality in place of row_number(), because a window function anywhere in a query
    keeps parallel workers away from all of it. One array of one column each, in one order.
#}
{% macro file_versions(raw_table) -%}
    {{ adapter.dispatch('file_versions', 'ingot')(raw_table) }}
{%- endmacro %}


{% macro duckdb__file_versions(raw_table) -%}
    select
        file_id as _file_id,
        {{ ingot.run_id_sql() }} as _run_id,
        first_load_id as _first_load_id,
        row_number() over (order by _run_id, first_load_id, path, file_id) as _file_rank
    from ops.files
    where {{ ingot.of_table_sql(raw_table) }}
{%- endmacro %}


{% macro postgres__file_versions(raw_table) -%}
    select
        _file_id,
        _run_id,
        _first_load_id,
        _file_rank
    from unnest(
        {{ ingot.files_in_order('file_id', raw_table) }},
        {{ ingot.files_in_order(ingot.run_id_sql(), raw_table) }},
        {{ ingot.files_in_order('first_load_id', raw_table) }}
    ) with ordinality as files (_file_id, _run_id, _first_load_id, _file_rank)
{%- endmacro %}


{% macro files_in_order(expression, raw_table) -%}
    array(
            select {{ expression }}
            from ops.files
            where {{ ingot.of_table_sql(raw_table) }}
            order by
                {{ ingot.run_id_sql() }} collate "C",
                first_load_id,
                path collate "C",
                file_id
        )
{%- endmacro %}


{# Render the run of a row of ops.files. #}
{% macro run_id_sql() -%}
    coalesce(hive_keys ->> 'run_id', '')
{%- endmacro %}


{# Render the version of a record as one number: its file's rank, then its position in it. #}
{% macro record_version(files, records) -%}
    {{ files }}._file_rank * 4294967296 + {{ records }}._record_number
{%- endmacro %}


{# Render records that have no number, each with its file's place in the order of versions. #}
{% macro with_versions(records, files) -%}
    select
        {{ records }}.*,
        {{ files }}._run_id,
        {{ files }}._first_load_id,
        {{ files }}._file_rank as _version
    from {{ records }}
    inner join {{ files }} on {{ records }}._file_id = {{ files }}._file_id
{%- endmacro %}
