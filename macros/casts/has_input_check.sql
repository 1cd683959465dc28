{#
    Return whether the server has pg_input_is_valid (PostgreSQL 16 and later); before a
    connection, assume so. Asked once a run and kept in `graph`, the one dictionary that all
    nodes share: a question takes 8 ms a cast.
#}
{% macro has_input_check() %}
    {{ return(adapter.dispatch('has_input_check', 'ingot')()) }}
{% endmacro %}


{% macro duckdb__has_input_check() %}
    {{ return(false) }}
{% endmacro %}


{% macro postgres__has_input_check() %}
    {% if not execute %}
        {{ return(true) }}
    {% endif %}
    {% if 'has_input_check' not in graph %}
        {% set version = run_query('show server_version_num').columns[0].values()[0] | int %}
        {% do graph.update({'has_input_check': version >= 160000}) %}
    {% endif %}
    {{ return(graph['has_input_check']) }}
{% endmacro %}
