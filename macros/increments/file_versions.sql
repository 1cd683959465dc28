{#
    Render the files of `raw_table` (a source) with the order of their records' versions, which
    does not depend on when they landed: the run, then the path. Only the order counts: a rank
    moves as files arrive, so compare ranks within one query. A file outside the run folders is
    older than all runs.

    Arrays with ordinality in place of row_number(), because a window function anywhere in a query
    keeps parallel workers away from all of it. One array of one column each, in one order.
#}
{% macro file_versions(raw_table) -%}
    select
        _file_id,
        _run_id,
        _file_rank
    from unnest(
        {{ files_in_order('file_id', raw_table) }},
        {{ files_in_order("coalesce(hive_keys ->> 'run_id', '')", raw_table) }}
    ) with ordinality as files (_file_id, _run_id, _file_rank)
{%- endmacro %}


{% macro files_in_order(expression, raw_table) -%}
    array(
            select {{ expression }}
            from ops.files
            where
                table_schema = '{{ raw_table.schema }}'
                and table_name = '{{ raw_table.identifier }}'
            order by
                coalesce(hive_keys ->> 'run_id', '') collate "C",
                path collate "C",
                file_id
        )
{%- endmacro %}


{# Render the version of a record as one number: its file's rank, then its position in it. #}
{% macro record_version(files, records) -%}
    {{ files }}._file_rank * 4294967296 + {{ records }}._record_number
{%- endmacro %}
