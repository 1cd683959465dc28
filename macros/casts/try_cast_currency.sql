{#
    Render text that is an amount with the sign of a currency before or behind it ('$1,234.50',
    '-£3', '12.50 €') or without, cast to `type`; NULL for any other text. The sign is dropped:
    keep it in a column of its own where there are several currencies.
#}
{% macro try_cast_currency(expression, type) -%}
    {{ adapter.dispatch('try_cast_currency', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro default__try_cast_currency(expression, type) -%}
    case
        when
            {{ expression }}
            ~ '^([-+]?([$€£¥] ?)?|[$€£¥] ?[-+])([0-9]{1,3}(,[0-9]{3})+|[0-9]+)([.][0-9]+)?( ?[$€£¥])?$'
            then {{ ingot.checked_input("translate(" ~ expression ~ ", '$€£¥, ', '')", type) }}
    end
{%- endmacro %}
