{#
    Build the new rows beside and change the table's to them, in one ordinary transaction. What is
    attached stays, readers and pg_dump wait for nothing, and no snapshot is too old: each sees
    the old rows or the new ones. Its cost follows the rows that changed, and goes beyond a swap's.
#}
{% macro refresh_by_difference(table) %}
    {% set delta = make_temp_relation(table) %}
    {% call statement('main') %}
        {% if ingot.distribution() %}
        {{ ingot.create_distributed_table_as(delta, sql, is_delta=true) }}
        {% elif config.get('contract').enforced and not ingot.contract_follows_rows() %}
        create temporary table {{ delta }} as
        {{ ingot.contracted_select_sql(sql) }}
        with no data;
        insert into {{ delta }} ({{ adapter.dispatch('get_column_names', 'dbt')() }})
        {{ get_select_subquery(sql) }}
        {% else %}
        create temporary table {{ delta }} as
        {{ ingot.contracted_select_sql(sql) }}
        {% endif %}
    {% endcall %}
    {% do run_query('analyze ' ~ delta) %}
    {% do ingot.change_rows(table, delta) %}
{% endmacro %}


{% macro change_rows(table, delta) %}
    {% set keys = ingot.difference_keys(table) %}
    {% call statement('changes') %}
        delete from {{ table }} as kept
        where not exists (
            select from {{ delta }} as delta
            where ({{ ingot.quoted_list(keys, 'kept') }}) = ({{ ingot.quoted_list(keys, 'delta') }})
        );

        {{ ingot.get_incremental_upsert_sql({
            'target_relation': table,
            'temp_relation': delta,
            'unique_key': keys,
            'dest_columns': adapter.get_columns_in_relation(delta),
            'incremental_predicates': none,
            'keeps_delta': true
        }) }}

        {# What a unique index says of a table that is built beside. #}
        do $count$
        begin
            if (select count(*) from {{ table }}) <> (select count(*) from {{ delta }}) then
                raise unique_violation using message = {{ ingot.literal(
                    'The new rows of ' ~ table ~ ' have duplicates of (' ~ keys | join(', ') ~ ').'
                ) }};
            end if;
        end
        $count$;

        analyze (skip_locked) {{ table }};
        {{ ingot.drop_gathered_sql(delta) }}
    {% endcall %}
    {% do apply_grants(table, config.get('grants'), should_revoke=true) %}
    {% do persist_docs(table, model) %}
{% endmacro %}


{# Return the columns of a key that every row has, the model's own where it has one; or none. #}
{% macro difference_keys(table) %}
    {% set unique_key = config.get('unique_key') or [] %}
    {% set own = ([unique_key] if unique_key is string else unique_key) | sort(case_sensitive=true) %}
    {% set keys = ingot.unique_keys(table, not_null=true) %}
    {{ return(own if own in keys else keys | first) }}
{% endmacro %}
