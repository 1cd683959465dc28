{#
    dbt creates a table under a contract first, and inserts then: no parallel SELECT, and each
    constraint is checked row by row. Here the rows come first, cast to the declared types, and
    the constraints after them in one pass.

    A character type with a length is left to dbt: an insert refuses what is too long, a cast
    cuts it off. So is a constraint that only a column of a new table can have.
#}
{% macro postgres__create_table_as(temporary, relation, sql) %}
    {% if ingot.distribution() and (temporary or ingot.distribution() != 'reference') %}
        {{ return(ingot.create_distributed_table_as(relation, sql, is_delta=temporary, contracted=not temporary)) }}
    {% endif %}
    {% set contracted = config.get('contract').enforced %}
    {% if temporary or (contracted and not ingot.contract_follows_rows()) %}
        {{ return(dbt.postgres__create_table_as(temporary, relation, sql)) }}
    {% endif %}

    {{ config.get('sql_header') or '' }}
    create {{ 'unlogged' if config.get('unlogged', false) }} table {{ relation }}
    {{ ingot.with_fillfactor() }}
    as {{ ingot.contracted_select_sql(sql) }};
    {% set additions = ingot.constraint_additions() if contracted else [] %}
    {% if additions %}
        alter table {{ relation }} {{ additions | join(', ') }};
    {% endif %}
{% endmacro %}


{#
    Tables that upserts write to leave a tenth of each page free, so that a changed row's new
    version stays on its page and, where no indexed column has changed, out of the indexes: a
    fifth less WAL in the increments after a full refresh. `meta.fillfactor` is for tables whose rows
    hardly ever change.
#}
{% macro with_fillfactor() %}
    {% if (config.get('incremental_strategy') or '').startswith('upsert') %}
        {{- return('with (fillfactor = ' ~ (config.meta_get('fillfactor') or 90) ~ ')') }}
    {% endif %}
{% endmacro %}


{% macro contract_follows_rows() %}
    {% set types = model.columns.values() | map(attribute='data_type') | map('lower') | join(';') %}
    {% set constraints = model.columns.values() | map(attribute='constraints') | sum(start=[]) %}
    {% set kinds = constraints | map(attribute='type') | map('string') | list %}
    {% set known = ['not_null', 'check', 'unique', 'primary_key'] %}
    {{ return(
        not modules.re.search('(char|character|bit|varying)\s*\(', types)
        and kinds | reject('in', known) | list | length == 0
    ) }}
{% endmacro %}


{# Render the model's columns in the contract's order and with its types, its names checked. #}
{% macro contracted_select_sql(sql, checked=true) %}
    {% if not config.get('contract').enforced %}
        {{ return('select * from (' ~ sql ~ '\n) as model_subq') }}
    {% endif %}
    {{ get_assert_columns_equivalent(sql) if checked }}
    select
    {%- for column in model.columns.values() %}
        {%- set name = adapter.quote(column.name) if column.quote else column.name %}
        {{ name }}::{{ column.data_type }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from (
        {{ sql }}
    ) as model_subq
{% endmacro %}


{# Return the contract's constraints as the changes of one `alter table`. #}
{% macro constraint_additions() %}
    {% set additions = [] %}
    {% for column in model.columns.values() %}
        {% set name = adapter.quote(column.name) if column.quote else column.name %}
        {% for constraint in column.constraints %}
            {% set kind = constraint.type | string %}
            {% if kind == 'not_null' %}
                {% do additions.append('alter column ' ~ name ~ ' set not null') %}
            {% elif kind == 'check' %}
                {% do additions.append('add check (' ~ constraint.expression ~ ')') %}
            {% else %}
                {% do additions.append('add ' ~ kind | replace('_', ' ') ~ ' (' ~ name ~ ')') %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {% for rendered in adapter.render_raw_model_constraints(raw_constraints=model.constraints) %}
        {% do additions.append('add ' ~ rendered) %}
    {% endfor %}
    {{ return(additions) }}
{% endmacro %}


{#
    dbt-duckdb's compares the types of a contract strictly; a sum of integers is a hugeint to DuckDB.
    Here the columns are cast, and a column that is missing is the cast's error.
#}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) %}
    {% if not config.get('contract').enforced %}
        {{ return(dbt.duckdb__create_table_as(
            temporary, relation, compiled_code, language, partitioned_by, sorted_by
        )) }}
    {% endif %}
    create {{ 'temporary' if temporary }} table {{ relation.include(database=not temporary, schema=not temporary) }} as
    select
    {%- for column in model.columns.values() %}
        {{ adapter.quote(column.name) }}::{{ ingot.column_type(column.data_type) }} as {{ adapter.quote(column.name) }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from (
        {{ compiled_code }}
    ) as model_subq;
    {% for addition in ingot.constraint_additions() if not temporary %}
        alter table {{ relation }} {{ addition }};
    {% endfor %}
{% endmacro %}


{# Scans skip what a column's minima and maxima rule out; an index would slow every write, and no query here asks for one. #}
{% macro duckdb__create_indexes(relation) %}
{% endmacro %}
