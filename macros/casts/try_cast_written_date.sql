{#
    Render text that is a date in figures, in the `order` year_first, day_first or month_first,
    with points, slashes or (but for year_first) hyphens between ('31.12.2025', '2025/12/31'),
    cast to date; NULL for any other text, so also for the 30th of February. As timestamptz, a
    time follows ('31.12.2025 23:59', '12/31/2025 11:59 PM') and is read as UTC.

    The session's DateStyle decides nothing: what is checked and cast is year, month and day.
#}
{% macro try_cast_written_date(expression, type, order) -%}
    {{ adapter.dispatch('try_cast_written_date', 'ingot')(expression, type, order) }}
{%- endmacro %}


{% macro default__try_cast_written_date(expression, type, order) -%}
    {%- set day = '([0-9]{1,2})' -%}
    {%- set shapes = {
        'year_first': ('([0-9]{4})[./]' ~ day ~ '[./]' ~ day, '\\1-\\2-\\3'),
        'day_first': (day ~ '[./-]' ~ day ~ '[./-]([0-9]{4})', '\\3-\\2-\\1'),
        'month_first': (day ~ '[./-]' ~ day ~ '[./-]([0-9]{4})', '\\3-\\1-\\2'),
    } -%}
    {%- if order not in shapes -%}
        {{ exceptions.raise_compiler_error(
            "try_cast_written_date takes the order " ~ shapes | join(', ') ~ ", not '" ~ order ~ "'."
        ) }}
    {%- endif -%}
    {%- set shape, iso = shapes[order] -%}
    {%- set written = "regexp_replace(" ~ expression ~ ", '^" ~ shape ~ "', '" ~ iso ~ "')" -%}
    case
        when {{ expression }} ~ '^{{ shape }}{{ ingot.time_pattern(type) }}$'
            then {{ ingot.checked_utc(written, type) }}
    end
{%- endmacro %}


{# Render the pattern of what follows a date: nothing, or a time of the day. #}
{% macro time_pattern(type) -%}
    {%- if type == 'timestamptz' -%}
        [ T]([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?( ?[aApP][mM])?
    {%- elif type != 'date' -%}
        {{ exceptions.raise_compiler_error(
            "A written date is cast to date or timestamptz, not to '" ~ type ~ "'."
        ) }}
    {%- endif -%}
{%- endmacro %}


{# Render text that spells a date and perhaps a time, none of which the session decides, in UTC. #}
{% macro checked_utc(expression, type) -%}
    {{ adapter.dispatch('checked_utc', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro duckdb__checked_utc(expression, type) -%}
    ops.written_moment(replace({{ expression }}, 'T', ' ')){{ '::date' if type == 'date' else " at time zone 'UTC'" }}
{%- endmacro %}


{% macro postgres__checked_utc(expression, type) -%}
    {%- if type == 'date' -%}
        {{ ingot.checked_input(expression, 'date') }}
    {%- else -%}
        {{ ingot.checked_input(expression, 'timestamp') }} at time zone 'UTC'
    {%- endif -%}
{%- endmacro %}
