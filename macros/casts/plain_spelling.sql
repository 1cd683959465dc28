{#
    Render the condition that `expression` is spelled plainly for `type`. PostgreSQL also reads
    '1_000', '0x1F' and ' 7 ' as integers, 'tr' as true, and 'now', 'infinity' and 'July-05-24'
    as dates: other engines do not, nor should data. AM, BC and named zones are read too, and differ
    by the session's TimeZone: a point in time is ISO 8601, with or without an offset.

    Of 1,000,000 ages, the input check and the cast take 50 ms; a regular expression or
    translate() on top 190 to 250. Printing the integer back and comparing takes 80, so the
    pattern is left to what fails that ('007', '+7').
#}
{% macro plain_spelling(expression, type) -%}
    {{ adapter.dispatch('plain_spelling', 'ingot')(expression, type) }}
{%- endmacro %}


{% macro postgres__plain_spelling(expression, type) -%}
    {%- if type in ('smallint', 'integer', 'bigint') -%}
        {%- if ingot.has_input_check() -%}
            {{ expression }} = {{ expression }}::{{ type }}::text or{{ ' ' }}
        {%- endif -%}
        {{ expression }} !~ '[^-+0-9]'
    {%- elif type in ('numeric', 'real', 'double precision') -%}
        {{ expression }} !~ '[^-+.eE0-9]'
    {%- elif type == 'boolean' -%}
        {{ expression }} in ('true', 'false')
        or lower({{ expression }}) in (
            'true', 'false', 't', 'f', 'yes', 'no', 'y', 'n', 'on', 'off', '1', '0'
        )
    {%- elif type == 'date' -%}
        {{ expression }} ~ '^\d{4}-\d{2}-\d{2}$'
    {%- elif type == 'timestamp' -%}
        {{ expression }} ~ '^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$'
    {%- elif type == 'timestamptz' -%}
        {{ expression }} ~ '^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[-+]\d{2}(:?\d{2})?))?)?$'
    {%- elif type in ('uuid', 'json', 'jsonb') -%}
        true
    {%- else -%}
        {{ exceptions.raise_compiler_error(
            "try_cast does not know the type '" ~ type
            ~ "': give its plain spelling in macros/casts/plain_spelling.sql."
        ) }}
    {%- endif -%}
{%- endmacro %}


{# Where DuckDB's cast is laxer than PostgreSQL's, the pattern is the check. #}
{% macro duckdb__plain_spelling(expression, type) -%}
    {%- if type in ('smallint', 'integer', 'bigint') -%}
        {{ expression }} ~ '^[-+]?[0-9]+$'
    {%- elif type in ('numeric', 'real', 'double precision') -%}
        {{ expression }} ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$'
    {%- elif type == 'date' -%}
        {{ expression }} ~ '^\d{4}-\d{2}-\d{2}$' and substr({{ expression }}, 1, 4) <> '0000'
    {%- else -%}
        {{ ingot.postgres__plain_spelling(expression, type) }}
    {%- endif -%}
{%- endmacro %}
