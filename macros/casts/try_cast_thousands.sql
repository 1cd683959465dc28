{#
    Render text that is a number with commas between its thousands or without ('1,234.5'), cast
    to `type`; NULL for any other text, so also where a comma stands elsewhere ('12,5').
#}
{% macro try_cast_thousands(expression, type) -%}
    {{ adapter.dispatch('try_cast_thousands', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro default__try_cast_thousands(expression, type) -%}
    case
        when {{ expression }} ~ '^[-+]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)([.][0-9]+)?$'
            then {{ ingot.checked_input("replace(" ~ expression ~ ", ',', '')", type) }}
    end
{%- endmacro %}
