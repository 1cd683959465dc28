{#
    Build a distributed or reference table: Citus distributes it while it is empty, then the rows
    go in, and the constraints after them. A delta is a table of this kind, too, since Citus joins
    no temporary one with the shards; whoever made it drops it.
#}
{% macro create_distributed_table_as(relation, sql, is_delta=false, contracted=true) %}
    {% set contracted = contracted and config.get('contract').enforced %}
    {% set follows = not contracted or ingot.contract_follows_rows() %}
    {% set gathered = ingot.gathered_sql(sql) %}
    {% set rows = ingot.contracted_select_sql(gathered) if contracted else 'select * from (' ~ gathered ~ '\n) as model_subq' %}

    {{ config.get('sql_header') or '' }}
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
    alter table {{ relation }} {{ additions | join(', ') }};
    {% endif %}
    {% if not is_delta %}
    {{ ingot.drop_gathered_sql() }}
    {% endif %}
{% endmacro %}


{# `with no data`, which plans nothing: what the query reads may not be pushed down as it stands. #}
{% macro create_empty_sql(relation, sql, is_delta=false) -%}
    create {{ 'unlogged' if is_delta or config.get('unlogged', false) }} table {{ relation }}
    {{ 'with (fillfactor = 90)' if (config.get('incremental_strategy') or '').startswith('upsert') }}
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
