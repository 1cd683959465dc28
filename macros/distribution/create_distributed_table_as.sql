{#
    Build a distributed table: it is distributed while it is empty, so that rows go from shard to shard,
    and the constraints come after them. A delta is a table of this kind, too, since Citus joins
    no temporary one with the shards: an upsert drops it, and of a strategy of dbt's own it stays until
    the next increment.
#}
{% macro create_distributed_table_as(relation, sql, is_delta=false, contracted=true) %}
    {% set contracted = contracted and config.get('contract').enforced %}
    {% set follows = not contracted or ingot.contract_follows_rows() %}
    {% set gathered = ingot.gathered_sql(sql) %}
    {% set rows = ingot.contracted_select_sql(gathered) if contracted else 'select * from (' ~ gathered ~ '\n) as model_subq' %}

    {{ config.get('sql_header') or '' }}
    {{ ingot.alone(['drop table if exists ' ~ relation]) if is_delta }}
    set local citus.enable_repartition_joins = on;
    {% if follows %}
    {{ ingot.create_empty_sql(relation, rows, is_delta) }};
    {% else %}
    create table {{ relation }} {{ get_table_columns_and_constraints() }};
    {% endif %}
    {{ ingot.distribute_sql(relation) }};
    insert into {{ relation }}
    {{ rows }};
    {% set additions = ingot.constraint_additions() if contracted and follows and not is_delta else [] %}
    {% if additions %}
    {{ ingot.alone(['alter table ' ~ relation ~ ' ' ~ additions | join(', ')]) }}
    {% endif %}
    {% if not is_delta %}
    {{ ingot.drop_gathered_sql() }}
    {% endif %}
{% endmacro %}


{#
    Render statements that Citus hands to the nodes as they stand, each by itself: of several in one
    string it would hand on the string.
#}
{% macro alone(statements) %}
    do $alone$
    begin
        {{ statements | join(';\n        ') }};
    end
    $alone$;
{% endmacro %}


{#
    Copy a table that was built on the coordinator, where its rows meet, to every node: in a
    transaction of its own, since Citus makes no reference table in one that has read others.
#}
{% macro copy_to_nodes(relation) %}
    {% if ingot.distribution() == 'reference' %}
        {% do adapter.commit() %}
        {% do ingot.begin_transaction() %}
        {% do run_query(ingot.distribute_sql(relation)) %}
        {% do adapter.commit() %}
        {% do ingot.begin_transaction() %}
    {% endif %}
{% endmacro %}


{# `with no data`, which plans nothing: what the query reads may not be pushed down as it stands. #}
{% macro create_empty_sql(relation, sql, is_delta=false) -%}
    create {{ 'unlogged' if is_delta or config.get('unlogged', false) }} table {{ relation }}
    {{ ingot.with_fillfactor() }}
    as {{ sql }}
    with no data
{%- endmacro %}


{# dbt's own, but for a delta beside a distributed table: a temporary table is on the coordinator. #}
{% macro postgres__make_temp_relation(base_relation, suffix) %}
    {% if ingot.distribution() %}
        {{ return(make_intermediate_relation(base_relation, '__dbt_delta')) }}
    {% endif %}
    {{ return(dbt.postgres__make_temp_relation(base_relation, suffix)) }}
{% endmacro %}


{# dbt's own, and a seed that is a reference table is made one before it is filled. #}
{% macro postgres__create_csv_table(model, agate_table) %}
    {% set made = dbt.default__create_csv_table(model, agate_table) %}
    {% if ingot.distribution() %}
        {% do run_query(ingot.distribute_sql(this)) %}
    {% endif %}
    {{ return(made) }}
{% endmacro %}
