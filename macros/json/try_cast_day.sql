{#
    Render the day of text that is a date, or a timestamp, as the feed writes some dates; NULL for
    any other text. Printed back and compared first: the pattern of try_cast takes 2 us a value,
    printing 0.3.
#}
{% macro try_cast_day(expression) -%}
    {%- set day = 'left(' ~ expression ~ ', 10)' -%}
    case
        when {{ expression }} like '____-__-__' or {{ expression }} like '____-__-__T__:__:__%'
            then
                {% if has_input_check() -%}
                case
                    when pg_input_is_valid({{ day }}, 'date')
                        then case
                            when {{ day }} = {{ day }}::date::text or {{ plain_spelling(day, 'date') }}
                                then {{ day }}::date
                        end
                end
                {%- else -%}
                {{ try_cast(day, 'date') }}
                {%- endif %}
    end
{%- endmacro %}
