{#
    Render text cast to numeric(15,2), or NULL where it is no plain decimal of at most 12 digits
    before the point: with 13, rounding could overflow. The pattern is the check, so that a value
    is read once; the cast is outside, because a case forgets the scale.
#}
{% macro try_cast_amount(expression) -%}
    (case when {{ expression }} ~ '^-?\d{1,12}(\.\d+)?$' then {{ expression }} end)::numeric(15, 2)
{%- endmacro %}
