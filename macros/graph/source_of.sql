{# Return the source that a staging view reads, as a relation. #}
{% macro source_of(view) %}
    {% if not execute %}
        {{ return(view) }}
    {% endif %}
    {% set parents = ingot.model_of(view).depends_on.nodes | select('in', graph.sources) | list %}
    {% if parents | length != 1 %}
        {{ exceptions.raise_compiler_error(
            view ~ ' reads ' ~ parents | length ~ ' sources: name the one to compare with, `raw_table: source(...)`.'
        ) }}
    {% endif %}
    {% set found = graph.sources[parents[0]] %}
    {{ return(source(found.source_name, found.name)) }}
{% endmacro %}
