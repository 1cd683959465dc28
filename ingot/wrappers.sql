{#
    Written by `ingot init`. dbt takes its own materializations, and what they call by dispatch,
    from dbt and from the project itself, and from no package: these hand each to the package
    `ingot`. Every table, view and seed of the project is then built by it.
#}
{% materialization view, adapter='postgres' %}
    {{ return(ingot.materialization_view_postgres()) }}
{% endmaterialization %}


{% materialization table, adapter='postgres' %}
    {{ return(ingot.materialization_table_postgres()) }}
{% endmaterialization %}


{% materialization incremental, adapter='postgres' %}
    {{ return(ingot.materialization_incremental_postgres()) }}
{% endmaterialization %}


{% materialization seed, adapter='postgres' %}
    {{ return(ingot.materialization_seed_postgres()) }}
{% endmaterialization %}


{% macro postgres__create_table_as(temporary, relation, sql) %}
    {{ return(ingot.postgres__create_table_as(temporary, relation, sql)) }}
{% endmacro %}


{% macro postgres__create_csv_table(model, agate_table) %}
    {{ return(ingot.postgres__create_csv_table(model, agate_table)) }}
{% endmacro %}


{% macro postgres__make_temp_relation(base_relation, suffix) %}
    {{ return(ingot.postgres__make_temp_relation(base_relation, suffix)) }}
{% endmacro %}


{% macro postgres__get_empty_schema_sql(columns) %}
    {{ return(ingot.postgres__get_empty_schema_sql(columns)) }}
{% endmacro %}


{# Models ask it by its plain name. #}
{% macro is_incremental() %}
    {{ return(ingot.is_incremental()) }}
{% endmacro %}


{# dbt finds an incremental strategy by its plain name. #}
{% macro get_incremental_upsert_sql(arg_dict) %}
    {{ return(ingot.get_incremental_upsert_sql(arg_dict)) }}
{% endmacro %}


{% macro get_incremental_upsert_elements_sql(arg_dict) %}
    {{ return(ingot.get_incremental_upsert_elements_sql(arg_dict)) }}
{% endmacro %}


{# What `ingot declare` writes calls these by their plain names. #}
{% macro complete_loads_only(raw_table) %}
    {{ return(ingot.complete_loads_only(raw_table)) }}
{% endmacro %}


{% macro file_versions(raw_table) %}
    {{ return(ingot.file_versions(raw_table)) }}
{% endmacro %}


{% macro last_landed_at(raw_table) %}
    {{ return(ingot.last_landed_at(raw_table)) }}
{% endmacro %}


{% macro latest_versions(source_name, table_name, key) %}
    {{ return(ingot.latest_versions(source_name, table_name, key)) }}
{% endmacro %}


{% macro mark_applied() %}
    {{ return(ingot.mark_applied()) }}
{% endmacro %}


{% macro staging_columns(source_name, table_name) %}
    {{ return(ingot.staging_columns(source_name, table_name)) }}
{% endmacro %}


{% test declared_casts_keep_values(model, source_name, table_name) %}
    {{ return(ingot.test_declared_casts_keep_values(model, source_name, table_name)) }}
{% endtest %}


{% test has_the_records_landed(model) %}
    {{ return(ingot.test_has_the_records_landed(model)) }}
{% endtest %}


{% test sums_to_rows(model, column, of) %}
    {{ return(ingot.test_sums_to_rows(model, column, of)) }}
{% endtest %}


{% test unique_combination_of_columns(model, combination_of_columns) %}
    {{ return(ingot.test_unique_combination_of_columns(model, combination_of_columns)) }}
{% endtest %}
