{# Return the staging view that a core model is built from, as a relation. #}
{% macro staging_view_of(core_model) %}
    {% if not execute %}
        {{ return(core_model) }}
    {% endif %}
    {% set views = [] %}
    {% for parent in ingot.model_of(core_model).depends_on.nodes if parent in graph.nodes %}
        {% set node = graph.nodes[parent] %}
        {% if node.path.startswith('staging') %}
            {% do views.append(node) %}
        {% endif %}
    {% endfor %}
    {% if views | length != 1 %}
        {{ exceptions.raise_compiler_error(
            core_model ~ ' is built from ' ~ views | length ~ ' staging views: what has_the_records_landed'
            ~ ' compares it with is one. Give it a test of its own.'
        ) }}
    {% endif %}
    {{ return(api.Relation.create(
        database=views[0].database, schema=views[0].schema, identifier=views[0].alias
    )) }}
{% endmacro %}
