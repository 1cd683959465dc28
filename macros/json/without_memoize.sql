{#
    Render the setting of a model's transaction that keeps the planner from Memoize: it would cache the
    elements of every JSON array, in case an array came again, for a sixth of the time of taking 260,000
    sales apart.
#}
{% macro without_memoize() -%}
    {{ adapter.dispatch('without_memoize', 'ingot')() }}
{%- endmacro %}


{% macro postgres__without_memoize() -%}
    set local enable_memoize = off
{%- endmacro %}


{% macro duckdb__without_memoize() -%}
{%- endmacro %}
