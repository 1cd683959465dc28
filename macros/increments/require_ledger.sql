{#
    Stop a run whose database has no ledger, or one of another version, with the remedy, in place
    of a missing relation's error in every model.
#}
{% macro require_ledger() %}
    {% if execute and not ingot.has_ledger() %}
        {% set is_old = run_query("select to_regclass('ops.loads') is not null").columns[0].values()[0] %}
        {{ exceptions.raise_compiler_error(
            ("The ledger (schema ops) in database '" ~ target.dbname ~ "' is of version 1"
                if is_old else "The ledger (schema ops) is missing in database '" ~ target.dbname ~ "'")
            ~ ': run `' ~ ingot.loader_command() ~ ' load` first.'
        ) }}
    {% elif execute %}
        {% set version = run_query('select version from ops.ledger_version').columns[0].values()[0] %}
        {% if version != 3 %}
            {{ exceptions.raise_compiler_error(
                "The ledger (schema ops) in database '" ~ target.dbname ~ "' is of version " ~ version
                ~ ', these models read version 3: '
                ~ ('run `' ~ ingot.loader_command() ~ ' load` first.' if version < 3
                    else 'use the models of its revision.')
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}


{% macro has_ledger() %}
    {% set found = run_query("select to_regclass('ops.ledger_version') is not null") %}
    {{ return(found.columns[0].values()[0]) }}
{% endmacro %}
