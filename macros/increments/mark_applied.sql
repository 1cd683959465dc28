{#
    Record, inside the model's own transaction, the loads that the model has just read: the lists
    that pending_loads decided, so that a load that completed in between is neither lost nor
    marked.

    --empty reads nothing, so it marks nothing; where it has rebuilt the table, the old marks go
    with the old rows.
#}
{% macro mark_applied() %}
    {% if not execute %}
        {{ return('') }}
    {% endif %}

    {% set lists = ingot.loads_read().values() | list %}
    {% if lists and target.type != 'duckdb' %}
    do $check$
    begin
        {{ ingot.check_loads_sql() }}
    end
    $check$;
    {% endif %}
    {% if lists | selectattr('scope', 'equalto', 'all') | list %}
        {# A swap marks in each of its attempts: what is marked already is not written again. #}
        {% set read = [] if flags.EMPTY else lists | map(attribute='load_ids') | sum(start=[]) %}
        delete from ops.applied_loads
        where model = {{ ingot.model_name_sql() }}{% if read %} and not ({{ ingot.is_one_of('load_id', read) }}){% endif %};
    {% endif %}
    {% for list in lists if list.load_ids and not flags.EMPTY %}
        insert into ops.applied_loads (model, load_id)
        select {{ ingot.model_name_sql() }}, load_id
        from ops.loads
        where {{ ingot.is_one_of('load_id', list.load_ids) }}
        on conflict do nothing;
    {% endfor %}
{% endmacro %}


{# Render the name by which ops.applied_loads knows this model. #}
{% macro model_name_sql(relation=this) -%}
    {{ adapter.dispatch('model_name_sql', 'ingot')(relation) }}
{%- endmacro %}


{% macro postgres__model_name_sql(relation) -%}
    format('%I.%I', {{ ingot.literal(relation.schema) }}, {{ ingot.literal(relation.identifier) }})
{%- endmacro %}


{% macro duckdb__model_name_sql(relation) -%}
    {{ ingot.literal(relation.schema ~ '.' ~ relation.identifier) }}
{%- endmacro %}
