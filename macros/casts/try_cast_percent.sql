{#
    Render text that is a percentage ('12.5%', '12,5 %') as its share of one, 0.125, cast to
    `type`; NULL for any other text. A comma before three digits could stand between thousands,
    so that is NULL, too.
#}
{% macro try_cast_percent(expression, type) -%}
    {{ adapter.dispatch('try_cast_percent', 'ingot')(expression, type) }}
{%- endmacro %}


{# Times 0.01, because a quotient has twenty digits behind its point. #}
{% macro default__try_cast_percent(expression, type) -%}
    case
        when {{ expression }} ~ '^[-+]?[0-9]+([.][0-9]+|,([0-9]{1,2}|[0-9]{4,}))? ?%$'
            then ({{ ingot.checked_input("translate(" ~ expression ~ ", ',% ', '.')", 'numeric') }} * 0.01)::{{ ingot.column_type(type) }}
    end
{%- endmacro %}
