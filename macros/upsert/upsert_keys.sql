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

    {% set indexes %}
        select 1
        from pg_index
        where
            indrelid = '{{ table }}'::regclass
            and indisunique and indisvalid and indimmediate and indpred is null and indexprs is null
            and array(
                select attname::text
                from pg_attribute
                where attrelid = indrelid and attnum = any(indkey[0:indnkeyatts - 1])
                order by attname::text
            ) = array(select unnest(array['{{ keys | join("', '") }}']) as key order by key)
    {% endset %}
    {% if execute and run_query(indexes).rows | length == 0 %}
        {{ exceptions.raise_compiler_error(
            table ~ ' has no unique index on exactly (' ~ keys | join(', ')
            ~ '): set `indexes: [{columns: [' ~ keys | join(', ')
            ~ '], unique: true}]` in its config and run `dbt run --full-refresh --select '
            ~ this.identifier ~ '`.'
        ) }}
    {% endif %}
    {{ return(keys) }}
{% endmacro %}
