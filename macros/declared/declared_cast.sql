{#
    Render the cast of a raw value to a declared type: by the cast that `config.meta.cast` names,
    or else by what the type needs. A time without a zone is read as UTC.
#}
{% macro declared_cast(value, type, cast=none, is_json=false, where='') %}
    {% set numbers = {
        'decimal_comma': ingot.try_cast_decimal_comma,
        'thousands': ingot.try_cast_thousands,
        'percent': ingot.try_cast_percent,
        'currency': ingot.try_cast_currency,
    } %}
    {% set dates = ['year_first', 'day_first', 'month_first'] %}
    {% if cast in numbers %}
        {{ return(numbers[cast](value, type)) }}
    {% elif cast in dates %}
        {{ return(ingot.try_cast_written_date(value, type, cast)) }}
    {% elif cast == 'named_month' %}
        {{ return(ingot.try_cast_named_month(value, type)) }}
    {% elif cast in ('epoch_seconds', 'epoch_milliseconds') %}
        {{ return(ingot.try_cast_epoch(value, cast[6:])) }}
    {% elif cast %}
        {{ exceptions.raise_compiler_error(
            where ~ " declares the cast '" ~ cast ~ "', which is not known. Use: "
            ~ (numbers.keys() | list + dates + ['named_month', 'epoch_seconds', 'epoch_milliseconds']) | join(', ') ~ '.'
        ) }}
    {% elif type == 'text' or (is_json and type in ('json', 'jsonb')) %}
        {{ return(value) }}
    {% elif type == 'timestamptz' %}
        {{ return(ingot.try_cast_utc(value)) }}
    {% endif %}
    {{ return(ingot.try_cast(value, type)) }}
{% endmacro %}
