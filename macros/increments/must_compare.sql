{#
    Tell whether this increment has to compare all rows: a load that it applies took rows of
    earlier ones away, so that what vanished shows only beside all that is left.
#}
{% macro must_compare() %}
    {{ return(true in (ingot.loads_read().values() | map(attribute='must_compare') | list)) }}
{% endmacro %}


{# dbt's own, but for an increment that reads all loads: it is built like a full refresh. #}
{% macro is_incremental() %}
    {{ return(dbt.is_incremental() and not (execute and ingot.must_compare())) }}
{% endmacro %}
