{#
    Return the graph's node of a model's relation: what a generic test needs of the model's config
    and parents, so that its YAML does not say it again.
#}
{% macro model_of(relation) %}
    {% set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') %}
    {% for node in models if node.schema == relation.schema and node.alias == relation.identifier %}
        {{ return(node) }}
    {% endfor %}
    {{ exceptions.raise_compiler_error(
        'There is no model whose relation is ' ~ relation ~ ': a generic test that asks for it takes no `where`.'
    ) }}
{% endmacro %}
