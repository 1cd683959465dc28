{#
    Render text that is a date with its month's English name or the name's first letters
    ('Jan 5 2012', 'January 5, 2012', '5-Jan-2012'), cast to date; NULL for any other text. As
    timestamptz, a time follows and is read as UTC. A date with a name has one reading, whatever
    the session's DateStyle.
#}
{% macro try_cast_named_month(expression, type) -%}
    {{ adapter.dispatch('try_cast_named_month', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro default__try_cast_named_month(expression, type) -%}
    {%- set month -%}
        (jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?|september|oct(ober)?|nov(ember)?|dec(ember)?)
    {%- endset -%}
    {%- set dates = [
        month ~ ' [0-9]{1,2},? [0-9]{4}', '[0-9]{1,2} ' ~ month ~ ',? [0-9]{4}',
        month ~ '-[0-9]{1,2}-[0-9]{4}', '[0-9]{1,2}-' ~ month ~ '-[0-9]{4}',
    ] -%}
    case
        when
            {{ expression }}
            ~* '^({{ dates | join('|') }}){{ ingot.time_pattern(type) }}$'
            then {{ ingot.checked_utc(ingot.month_in_figures(expression), type) }}
    end
{%- endmacro %}


{# Render a date with its month's name as one that checked_utc reads: PostgreSQL knows the names. #}
{% macro month_in_figures(expression) -%}
    {{ adapter.dispatch('month_in_figures', 'ingot')(expression) }}
{%- endmacro %}


{% macro postgres__month_in_figures(expression) -%}
    {{ expression }}
{%- endmacro %}


{% macro duckdb__month_in_figures(expression) -%}
    regexp_replace(
        {{ expression }},
        '^([A-Za-z]+)?[ -]?([0-9]{1,2})[ -]?([A-Za-z]+)?,?[ -]([0-9]{4})',
        '\4-' || list_position(
            ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
            lower(substr(regexp_extract({{ expression }}, '[A-Za-z]+'), 1, 3))
        ) || '-\2'
    )
{%- endmacro %}
