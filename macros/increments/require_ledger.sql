{#
    Stop a run whose database has no ledger with the remedy, in place of a missing relation's
    error in every model.
#}
{% macro require_ledger() %}
    {% if execute and not has_ledger() %}
        {{ exceptions.raise_compiler_error(
            "The ledger (schema ops) is missing in database '" ~ target.dbname
            ~ "': run `python -m loaders load` first."
        ) }}
    {% endif %}
{% endmacro %}


{% macro has_ledger() %}
    {% set found = run_query(
        "select to_regclass('ops.loads') is not null"
        ~ " and to_regclass('ops.applied_loads') is not null"
    ) %}
    {{ return(found.columns[0].values()[0]) }}
{% endmacro %}
