{#
    Render text cast to timestamptz, read as UTC where it names no zone: the session's is no fact.

    The feed writes most as `2026-01-11T03:00:00`, alone or with a Z or an offset behind, for which
    the input check and LIKE do; the regular expressions of try_cast cost more than both (of three
    columns of 350,000 members, 5 s of 11).
#}
{% macro try_cast_utc(expression) -%}
    case
        {# Every spelling begins with a digit; 'July-05-24' and the like do not. #}
        when ascii({{ expression }}) > 57 then null
        when
            {{ expression }} like '____-__-__T__:__:__'
            or {{ expression }} like '____-__-__T__:__:__Z'
            then {{ checked_input(expression, 'timestamp') }} at time zone 'UTC'
        when
            {{ expression }} like '____-__-__T__:__:__-__:__'
            or {{ expression }} like '____-__-__T__:__:__+__:__'
            then {{ checked_input(expression, 'timestamptz') }}
        when substr({{ expression }}, 11) ~ '[-+A-SU-Za-su-z]'
            then {{ try_cast(expression, 'timestamptz') }}
        else ({{ try_cast(expression, 'timestamp') }}) at time zone 'UTC'
    end
{%- endmacro %}
