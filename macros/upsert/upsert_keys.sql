{#
    Return the columns of `unique_key` as a list, having checked that the table can tell a
    conflict on exactly these.
#}
{% macro upsert_keys(table, unique_key) %}
    {% if not unique_key %}
        {{ exceptions.raise_compiler_error(
            'The strategy upsert needs a key: set `unique_key` in the config of ' ~ this ~ '.'
        ) }}
    {% endif %}
    {% set keys = [unique_key] if unique_key is string else unique_key | list %}

    {# DuckDB needs no index to tell a conflict. #}
    {% if execute and target.type != 'duckdb' and keys | sort(case_sensitive=true) not in ingot.unique_keys(table) %}
        {{ exceptions.raise_compiler_error(
            table ~ ' has no unique index on exactly (' ~ keys | join(', ')
            ~ '): set `indexes: [{columns: [' ~ keys | join(', ')
            ~ '], unique: true}]` in its config and run `dbt run --full-refresh --select '
            ~ this.identifier ~ '`.'
        ) }}
    {% endif %}
    {{ return(keys) }}
{% endmacro %}


{# Return the keys by which the table can tell a conflict, each a list of columns in order. #}
{% macro unique_keys(table, not_null=false) %}
    {% set indexes %}
        select array_to_json(array_agg(attname order by attname))::text as key
        from pg_index
        inner join pg_attribute on attrelid = indrelid and attnum = any(indkey[0:indnkeyatts - 1])
        where
            indrelid = '{{ table }}'::regclass
            and indisunique and indisvalid and indimmediate and indpred is null and indexprs is null
        group by indexrelid
        {{ 'having bool_and(attnotnull)' if not_null }}
        order by key
    {% endset %}
    {% set keys = [] %}
    {% for key in run_query(indexes).columns['key'].values() %}
        {% do keys.append(fromjson(key)) %}
    {% endfor %}
    {{ return(keys) }}
{% endmacro %}
