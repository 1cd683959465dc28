{#
    Stop a run whose database has no ledger with the remedy, in place of a missing relation's
    error in every model; and one whose unlogged raw tables a crash has emptied, before a full
    refresh takes what is left for all there is.
#}
{% macro require_ledger() %}
    {% if execute and not has_ledger() %}
        {{ exceptions.raise_compiler_error(
            "The ledger (schema ops) is missing in database '" ~ target.dbname
            ~ "': run `python -m loaders load` first."
        ) }}
    {% endif %}
    {% if execute %}
        {% set lost = run_query('select distinct table_name from ops.lost_loads order by 1') %}
        {% if lost.rows %}
            {{ exceptions.raise_compiler_error(
                'A crash of the server has emptied unlogged raw tables ('
                ~ lost.columns[0].values() | join(', ') ~ '): run `python -m loaders load` first.'
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}


{% macro has_ledger() %}
    {% set found = run_query(
        "select to_regclass('ops.loads') is not null"
        ~ " and to_regclass('ops.applied_loads') is not null"
    ) %}
    {{ return(found.columns[0].values()[0]) }}
{% endmacro %}
