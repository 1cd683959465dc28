{#
    Count, for each column, the values of its field of the raw JSON that the staging model's cast made
    NULL, all columns in one pass over each; and for each flag the values that are none. With `array`,
    the fields are those of the array's elements.

    `known_bad_values` are texts that are known to be no values, so that NULL is what they should
    become: they are not counted. List single texts, each with who writes it; a share of the values, or
    a number of them, would hide the first bad value of another kind.
#}
{% test json_casts_keep_values(
    model, fields, array=none, flags=[], known_bad_values=[], raw_table=none
) %}
    {{ config(severity='warn', fail_calc='coalesce(sum(abs(lost_count)), 0)') }}
    {% set raw_table = raw_table or ingot.source_of(model) %}
    {% set no_values = [''] + known_bad_values | map('replace', "'", "''") | list %}

    with

    documents as (
        select {{ ingot.json_object('raw') }} as document
        from {{ raw_table }}
        where {{ ingot.complete_loads_only(raw_table) }}
    ),

    raw_records as (
        {% if array -%}
        select elements.document
        from documents
        cross join lateral {{ ingot.json_objects("(documents.document -> '" ~ array ~ "')") }} as elements (document)
        {%- else -%}
        select * from documents
        {%- endif %}
    ),

    raw_counts as (
        select
            {% for flag in flags -%}
            count(*) filter (
                where
                lower(document ->> '{{ flag }}') not in ('', 'true', 'false', 't', 'f')
                and {{ ingot.try_cast("(document ->> '" ~ flag ~ "')", 'boolean') }} is null
            ) as {{ adapter.quote(flag) }},
            {% endfor -%}
            {% for column, field in fields.items() -%}
            count(*) filter (
                where document ->> '{{ field }}' not in ('{{ no_values | join("', '") }}')
            ) as {{ column }}{{ ',' if not loop.last }}
            {% endfor %}
        from raw_records
    ),

    cast_counts as (
        select
            {% for column in fields -%}
            count({{ column }}) as {{ column }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ model }}
    ),

    lost_counts as (
        {% for column in fields -%}
        select
            '{{ column }}' as column_name,
            raw_counts.{{ column }} - cast_counts.{{ column }} as lost_count
        from raw_counts
        cross join cast_counts
        {{ 'union all' if not loop.last or flags }}
        {% endfor -%}
        {% for flag in flags -%}
        select
            '{{ flag }}' as column_name,
            {{ adapter.quote(flag) }} as lost_count
        from raw_counts
        {{ 'union all' if not loop.last }}
        {% endfor -%}
    )

    select * from lost_counts
    where lost_count <> 0
{% endtest %}
