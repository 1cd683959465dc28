{#
    Render the day of text that is a date, or a timestamp, as the feed writes some dates; NULL for
    any other text.
#}
{% macro try_cast_day(expression) -%}
    case
        when {{ expression }} like '____-__-__' or {{ expression }} like '____-__-__T__:__:__%'
            then {{ try_cast("left(" ~ expression ~ ", 10)", 'date') }}
    end
{%- endmacro %}
