{#
    Render `expression` (text) cast to `type`, or NULL where it is no plain spelling of one;
    never an error. The cast is written in line, so that a query over a staging view pays only
    for the columns that it reads.
#}
{% macro try_cast(expression, type) -%}
    {%- if '(' in type -%}
        {{ exceptions.raise_compiler_error(
            "try_cast takes a type without a modifier, not '" ~ type ~ "': cast to '"
            ~ type.split('(')[0] ~ "', then round."
        ) }}
    {%- endif -%}
    {{ adapter.dispatch('try_cast', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro postgres__try_cast(expression, type) -%}
    {%- set plain = ingot.plain_spelling(expression, type) -%}
    {%- if type == 'boolean' -%}
        case when {{ plain }} then {{ expression }}::boolean end
    {%- elif type == 'timestamptz' -%}
        {# Without an offset it is UTC: the session's zone is no fact. #}
        case
            when not ({{ plain }}) then null
            when substr({{ expression }}, 11) ~ '[-+Z]' then {{ ingot.checked_input(expression, 'timestamptz') }}
            else {{ ingot.checked_input(expression, 'timestamp') }} at time zone 'UTC'
        end
    {%- elif not ingot.has_input_check() -%}
        case when {{ plain }} then {{ ingot.checked_input(expression, type) }} end
    {%- else -%}
        case when pg_input_is_valid({{ expression }}, '{{ type }}')
            then case when {{ plain }} then {{ expression }}::{{ type }} end
        end
    {%- endif -%}
{%- endmacro %}


{% macro duckdb__try_cast(expression, type) -%}
    {%- set plain = ingot.plain_spelling(expression, type) -%}
    {%- if type in ('timestamp', 'timestamptz') -%}
        case when {{ plain }} then ops.moment({{ expression }}){{ " at time zone 'UTC'" if type == 'timestamptz' }} end
    {%- elif type == 'boolean' -%}
        case when {{ plain }} then lower({{ expression }}) in ('true', 't', 'yes', 'y', 'on', '1') end
    {%- elif type in ('real', 'double precision') -%}
        {# What is too large is infinite, and what is too small is 0; to PostgreSQL neither is a number. #}
        case
            when {{ plain }} and isfinite({{ ingot.checked_input(expression, type) }}) and (
                {{ ingot.checked_input(expression, type) }} <> 0 or {{ expression }} !~ '^[^eE]*[1-9]'
            ) then {{ ingot.checked_input(expression, type) }}
        end
    {%- elif type in ('smallint', 'integer', 'bigint') -%}
        {{ ingot.checked_input(expression, type) }}
    {%- else -%}
        case when {{ plain }} then {{ ingot.checked_input(expression, type) }} end
    {%- endif -%}
{%- endmacro %}
