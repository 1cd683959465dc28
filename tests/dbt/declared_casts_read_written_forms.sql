-- What the casts of declared sources make of written numbers, dates and epochs.
{% set cases = [
    ('decimal_comma', 'numeric', {
        '1.234,56': '1234.56', '12,5': '12.5', '-0,50': '-0.50', '1 234 567,8': '1234567.8',
        '1.234': '1234', '7': '7', '1,234.5': none, '1.23,4': none, ',5': none, '': none, 'NaN': none,
    }),
    ('decimal_comma', 'integer', {'1.234': '1234', '1,5': none, '3.000.000.000': none}),
    ('thousands', 'numeric', {
        '1,234.5': '1234.5', '1,234,567': '1234567', '-12': '-12', '12,5': none, '1,23': none,
        '1.234,5': none, '': none,
    }),
    ('percent', 'numeric', {
        '12.5%': '0.125', '12,5 %': '0.125', '-3%': '-0.03', '100%': '1.00', '1,234%': none,
        '5': none, '%': none, '': none,
    }),
    ('currency', 'numeric', {
        '$1,234.50': '1234.50', '-$3': '-3', '$-3': '-3', '£ 7.25': '7.25', '12.50 €': '12.50',
        '8': '8', '$': none, '-$-3': none, '': none,
    }),
    ('year_first', 'date', {
        '2024/02/29': '2024-02-29', '2024.1.5': '2024-01-05', '2023/02/29': none, '24/01/05': none,
        '2024-01-05': none, '2024/01/05 10:00': none, '': none,
    }),
    ('day_first', 'date', {
        '31.12.2025': '2025-12-31', '31/12/2025': '2025-12-31', '1-2-2025': '2025-02-01',
        '12/31/2025': none, '30.02.2025': none, '31.12.25': none, '2025-12-31': none, 'today': none,
    }),
    ('month_first', 'date', {
        '12/31/2025': '2025-12-31', '1/2/2025': '2025-01-02', '31/12/2025': none, '': none,
    }),
    ('day_first', 'timestamptz', {
        '31.12.2025 23:59': '2025-12-31 23:59:00+00', '1/2/2025 1:02:03.5 PM': '2025-02-01 13:02:03.5+00',
        '31.12.2025': none, '31.12.2025 24:00': none, '1/2/2025 13:00 PM': none,
    }),
    ('named_month', 'date', {
        'Jan 5 2012': '2012-01-05', 'january 5, 2012': '2012-01-05', '05-SEP-2012': '2012-09-05',
        '5 Sept 2012': '2012-09-05', 'Feb 30 2012': none, 'Jan 5 12': none, 'Mon 5 2012': none,
    }),
    ('named_month', 'timestamptz', {'Jan 5 2012 10:30': '2012-01-05 10:30:00+00', 'Jan 5 2012': none}),
    ('epoch_seconds', 'timestamptz', {
        '1735689600': '2025-01-01 00:00:00+00', '-1': '1969-12-31 23:59:59+00',
        '1735689600.5': '2025-01-01 00:00:00.5+00', '9999999999999': none, '1e9': none, '': none,
    }),
    ('epoch_milliseconds', 'timestamptz', {
        '1735689600123': '2025-01-01 00:00:00.123+00', '9999999999999999': none, 'x': none,
    }),
    ('none', 'timestamptz', {
        '2025-01-01T10:00:00Z': '2025-01-01 10:00:00+00', '2025-01-01 10:00': '2025-01-01 10:00:00+00',
        '2025-01-01 10:00:00+02:00': '2025-01-01 08:00:00+00', '01/02/2025 10:00': none, 'now': none,
    }),
] %}

with

actual_values as (
    {% for cast, type, spellings in cases -%}
    select
        '{{ cast }} {{ type }}' as cast_name,
        spelling,
        expected::{{ column_type(type) }}::text as expected,
        ({{ declared_cast('spelling', type, none if cast == 'none' else cast) }})::text as actual
    from (
        values
        {% for spelling, expected in spellings.items() -%}
        ('{{ spelling }}', nullif('{{ expected }}', 'None')){{ ',' if not loop.last }}
        {% endfor %}
    ) as spellings (spelling, expected)
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select * from actual_values
where actual is distinct from expected
