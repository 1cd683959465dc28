{#
    Render text that is a number of seconds since 1970 (`unit` seconds) or of milliseconds, as
    timestamptz; NULL for any other text.
#}
{% macro try_cast_epoch(expression, unit) -%}
    {{ adapter.dispatch('try_cast_epoch', 'ingot')(expression, unit) }}
{%- endmacro %}


{# Twelve digits of seconds are the year 33658: more than twelve could be more than a timestamp. #}
{% macro default__try_cast_epoch(expression, unit) -%}
    {%- set digits, divisor = (12, '') if unit == 'seconds' else (15, ' / 1000') -%}
    case
        when {{ expression }} ~ '^-?[0-9]{1,{{ digits }}}([.][0-9]{1,9})?$'
            then to_timestamp({{ expression }}::double precision{{ divisor }})
    end
{%- endmacro %}
