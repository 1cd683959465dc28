{#
    Stop a run whose database has no ledger, or one of another version, with the remedy, in place
    of a missing relation's error in every model.
#}
{% macro require_ledger() %}
    {{ return(adapter.dispatch('require_ledger', 'ingot')()) }}
{% endmacro %}


{#
    A DuckDB file has its ledger in it: what is new in bronze lands here, by the loader's function
    (loaders/duckdb_plugin.py).
#}
{% macro duckdb__require_ledger() %}
    {% if execute and flags.WHICH in ('build', 'run', 'retry') %}
        {% set project = (invocation_args_dict.project_dir or '.') | string | replace("'", "''") %}
        {# The call waits in one of DuckDB's threads, so landing gets another. #}
        {% set threads = run_query("select current_setting('threads')").columns[0].values()[0] | int %}
        {% do run_query('set threads = ' ~ (threads + 1)) %}
        {% set said = fromjson(run_query("select land_bronze('" ~ project ~ "')").columns[0].values()[0]) %}
        {% do run_query('set threads = ' ~ threads) %}
        {% if said.error %}
            {{ exceptions.raise_compiler_error(said.error) }}
        {% endif %}
        {# What landed is not in the cache that dbt has filled before. #}
        {% for table in graph.sources.values() %}
            {% set raw_table = api.Relation.create(
                database=table.database, schema=table.schema, identifier=table.identifier, type='table'
            ) %}
            {% if load_cached_relation(raw_table) is none %}
                {% do adapter.cache_added(raw_table) %}
            {% endif %}
        {% endfor %}
        {% for one in said.landed %}
            {% do log(one.source ~ ': load ' ~ one.load_id ~ ': ' ~ one.files ~ ' files, ' ~ one.records ~ ' records', info=true) %}
        {% endfor %}
    {% endif %}
{% endmacro %}


{% macro postgres__require_ledger() %}
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
    {{ return(adapter.dispatch('has_ledger', 'ingot')()) }}
{% endmacro %}


{% macro postgres__has_ledger() %}
    {% set found = run_query("select to_regclass('ops.ledger_version') is not null") %}
    {{ return(found.columns[0].values()[0]) }}
{% endmacro %}


{% macro duckdb__has_ledger() %}
    {% set found = run_query("select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'applied_loads'") %}
    {{ return(found.rows | length > 0) }}
{% endmacro %}
