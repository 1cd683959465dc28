-- What try_cast makes of each type's plain, odd and wrong spellings.
{% set cases = {
    'integer': {
        '7': '7', '-7': '-7', '+7': '7', '007': '7', '2147483647': '2147483647',
        '2147483648': none, '1_000': none, '0x1F': none, ' 7 ': none, '12.5': none, '1e3': none,
        '-': none, '': none, 'seven': none,
    },
    'bigint': {
        '9223372036854775807': '9223372036854775807', '9223372036854775808': none, '1_0': none,
    },
    'numeric': {
        '12.50': '12.50', '-.5': '-0.5', '1e3': '1000', 'NaN': none, 'infinity': none,
        '1_000': none, '0x1F': none, '1.2.3': none, '12,5': none,
    },
    'double precision': {'1e3': '1000', '1e999': none, 'NaN': none, '-Infinity': none},
    'boolean': {
        'true': 'true', 'FALSE': 'false', 't': 'true', 'No': 'false', '1': 'true', 'off': 'false',
        'tr': none, ' true': none, '2': none, '': none,
    },
    'date': {
        '2024-02-29': '2024-02-29', '2023-02-29': none, '20240105': none, '05/01/2024': none,
        'July-05-24': none, 'now': none, 'infinity': none, '2024-01-05 10:00': none,
    },
    'timestamptz': {
        '2024-01-05T10:00:00Z': '2024-01-05 10:00:00+00', '2024-01-05 25:00': none,
        'now': none, 'infinity': none,
    },
    'uuid': {
        '00000000-0000-0000-0000-000000000001': '00000000-0000-0000-0000-000000000001', 'x': none,
    },
} %}

with

actual_values as (
    {% for type, spellings in cases.items() -%}
    select
        '{{ type }}' as type_name,
        spelling,
        expected::{{ column_type(type) }}::text as expected,
        ({{ try_cast('spelling', type) }})::text as actual
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
