{#
    Render text that is a number with a decimal comma, with points or spaces between its
    thousands or without ('1.234,56', '12,5'), cast to `type`; NULL for any other text. So
    '1.234' is 1234 here.
#}
{% macro try_cast_decimal_comma(expression, type) -%}
    {{ adapter.dispatch('try_cast_decimal_comma', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro default__try_cast_decimal_comma(expression, type) -%}
    case
        when {{ expression }} ~ '^[-+]?([0-9]{1,3}([. ][0-9]{3})+|[0-9]+)(,[0-9]+)?$'
            then {{ ingot.checked_input("translate(" ~ expression ~ ", ',. ', '.')", type) }}
    end
{%- endmacro %}
