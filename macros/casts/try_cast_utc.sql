{#
    Render text cast to timestamptz, read as UTC where it names no zone: the session's is no fact.

    The feed writes most as `2026-01-11T03:00:00`, alone or with a Z or an offset behind, for which
    the input check and LIKE do; the regular expressions of try_cast cost more than both (of three
    columns of 350,000 members, 5 s of 11).
#}
{% macro try_cast_utc(expression) -%}
    {{ adapter.dispatch('try_cast_utc', 'ingot')(expression) }}
{%- endmacro %}


{% macro duckdb__try_cast_utc(expression) -%}
    {{ ingot.try_cast(expression, 'timestamptz') }}
{%- endmacro %}


{% macro postgres__try_cast_utc(expression) -%}
    case
        {# Figures alone: of what else LIKE lets in, PostgreSQL reads some, and some by DateStyle. #}
        when translate(substr({{ expression }}, 1, 19), '0123456789', '') <> '--T::'
            then {{ ingot.try_cast(expression, 'timestamptz') }}
        when
            {{ expression }} like '____-__-__T__:__:__'
            or {{ expression }} like '____-__-__T__:__:__Z'
            then {{ ingot.checked_input(expression, 'timestamp') }} at time zone 'UTC'
        when
            (
                {{ expression }} like '____-__-__T__:__:__-__:__'
                or {{ expression }} like '____-__-__T__:__:__+__:__'
            )
            and translate(substr({{ expression }}, 20), '0123456789', '') in ('-:', '+:')
            then {{ ingot.checked_input(expression, 'timestamptz') }}
        else {{ ingot.try_cast(expression, 'timestamptz') }}
    end
{%- endmacro %}
