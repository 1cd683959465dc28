{#
    Render text that is a number of seconds since 1970 (`unit` seconds) or of milliseconds, as
    timestamptz; NULL for any other text.
#}
{% macro try_cast_epoch(expression, unit) -%}
    {{ adapter.dispatch('try_cast_epoch', 'ingot')(expression, unit) }}
{%- endmacro %}


{#
    Twelve digits of seconds are the year 33658, eleven before 1970 the year 1199 BC: one more could be
    more than a timestamp, which ends in the year 294276 and begins in 4713 BC.
#}
{% macro default__try_cast_epoch(expression, unit) -%}
    {%- set digits, divisor = (12, '') if unit == 'seconds' else (15, ' / 1000') -%}
    case
        when {{ expression }} ~ '^(-[0-9]{1,{{ digits - 1 }}}|[0-9]{1,{{ digits }}})([.][0-9]{1,9})?$'
            then {{ ingot.epoch_moment(expression ~ '::double precision' ~ divisor) }}
    end
{%- endmacro %}


{# Render the moment that is a number of seconds after 1970. #}
{% macro epoch_moment(seconds) -%}
    {{ adapter.dispatch('epoch_moment', 'ingot')(seconds) }}
{%- endmacro %}


{% macro postgres__epoch_moment(seconds) -%}
    to_timestamp({{ seconds }})
{%- endmacro %}


{# As PostgreSQL counts, from 2000: the difference, a double, decides the last digit. #}
{% macro duckdb__epoch_moment(seconds) -%}
    timestamptz '2000-01-01 00:00:00+00'
    + to_microseconds(round_even(({{ seconds }} - 946684800) * 1000000, 0)::bigint)
{%- endmacro %}
