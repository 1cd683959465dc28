{#
    Gather the pending records of a model by its key, and return the model's query with these in
    place of its staging view.

    The versions of a record lie on any node. Citus repartitions rows for an INSERT .. SELECT, from
    worker to worker, and for nothing else: a `distinct on` in the model would take all rows to the
    coordinator. So the records go into a table that is distributed as the model is, and its
    dedupe runs on each shard. Elements are gathered by their parents first, which says of each
    its parent's latest version (see latest_elements). Records without a key go nowhere: a core
    model leaves them out.

    A model that reads no staging view, or several, is built as it stands.
#}
{% macro gathered_sql(sql) %}
    {% set view = ingot.gathered_view() %}
    {% if not view %}
        {{ return(sql) }}
    {% endif %}
    {% set records, parents = ingot.gathered_relations() %}
    {% set column = adapter.quote(ingot.distribution()) %}
    {% set parent_key = ingot.parent_key() %}
    {% set parent = adapter.quote(parent_key or '') %}
    {% call statement('gather') %}
        {% if parent_key %}
        create unlogged table {{ parents }} as select * from {{ view }} with no data;
        select create_distributed_table('{{ parents }}', {{ ingot.literal(parent_key) }});
        {{ ingot.gather_sql(parents, view, parent) }}
        create unlogged table {{ records }} as select *, _version as _latest_version from {{ parents }} with no data;
        {% else %}
        create unlogged table {{ records }} as select * from {{ view }} with no data;
        {% endif %}
        select create_distributed_table('{{ records }}', {{ ingot.literal(ingot.distribution()) }});
        {% if parent_key %}
        insert into {{ records }}
        select *
        from (
            select *, max(_version) over (partition by {{ parent }}) as _latest_version
            from {{ parents }}
        ) as versions
        where {{ column }} is not null
        {% else %}
        {{ ingot.gather_sql(records, view, column) }}
        {% endif %}
    {% endcall %}
    {{ return(sql | replace(view.render(), records.render())) }}
{% endmacro %}


{#
    Render the statement that repartitions the pending records, or nothing where none is pending.
    With `--empty` none is gathered: the model reads no rows.
#}
{% macro gather_sql(records, view, column) %}
    {% set list = ingot.loads_read().values() | first %}
    {% if list.load_ids and not flags.EMPTY %}
        insert into {{ records }}
        select * from {{ view }}
        where {{ list.predicate }} and {{ column }} is not null;
    {% endif %}
{% endmacro %}


{# Return the model's query as it would read gathered records, for its columns alone. #}
{% macro ungathered_sql(sql) %}
    {% set view = ingot.gathered_view() %}
    {% if not view or not ingot.parent_key() %}
        {{ return(sql) }}
    {% endif %}
    {{ return(sql | replace(view.render(), '(select *, _version as _latest_version from ' ~ view ~ ')')) }}
{% endmacro %}


{# Return the one staging view whose pending loads this model reads, or none. #}
{% macro gathered_view() %}
    {% if ingot.distribution() in (none, 'reference') or ingot.loads_read() | length != 1 %}
        {{ return(none) }}
    {% endif %}
    {% set views = [] %}
    {% for parent in model.depends_on.nodes if parent in graph.nodes %}
        {% set node = graph.nodes[parent] %}
        {% if node.config.materialized == 'view' %}
            {% do views.append(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
        {% endif %}
    {% endfor %}
    {{ return(views[0] if views | length == 1 else none) }}
{% endmacro %}


{# Return the tables of gathered records, and of elements gathered by their parents. #}
{% macro gathered_relations() %}
    {{ return([make_intermediate_relation(this, '__dbt_records'), make_intermediate_relation(this, '__dbt_parents')]) }}
{% endmacro %}


{% macro parent_key() %}
    {% set is_of_elements = config.get('incremental_strategy') == 'upsert_elements' %}
    {{ return(config.meta_get('parent_key') if is_of_elements) }}
{% endmacro %}


{# Render the statement that drops what was gathered, and the delta where one was made of it. #}
{% macro drop_gathered_sql(delta=none) %}
    {% if ingot.distribution() %}
        {% set is_made = delta is not none and delta.identifier == make_temp_relation(this).identifier %}
    {{ ingot.alone(['drop table if exists ' ~ (ingot.gathered_relations() + ([delta] if is_made else [])) | join(', ')]) }}
    {% endif %}
{% endmacro %}
