{#
    The keys in which a core model differs from what landed: of the loads that it has applied, every
    key that is not NULL has one row, and there is no other row, unless it is of a load that was
    pruned since. The model's config says what the key is, and the graph from which staging view it
    is built.

    Where `meta.parent_key` makes the rows elements of their parents, the last mention of an element
    decides whose it is, and it has a row if that parent's latest version still holds it. So an
    element can move although its old parent is not delivered again.
#}
{% test has_the_records_landed(model) %}
    {%- set applied_loads, loads = source('ops', 'applied_loads'), source('ops', 'loads') -%}
    {%- set view = ingot.staging_view_of(model) -%}
    {%- set config = ingot.model_of(model).config if execute else {'unique_key': 'key', 'meta': {}} -%}
    {%- set keys = [config.unique_key] if config.unique_key is string else config.unique_key -%}
    {%- set parent_key = config.meta.get('parent_key') -%}
    {%- set columns = keys if not parent_key or parent_key in keys else [parent_key] + keys -%}
    {#- A declared source may name a key by a reserved word. -#}
    {%- set keys, columns = ingot.quoted_list(keys).split(', '), ingot.quoted_list(columns).split(', ') -%}
    with

    landed_records as (
        select records.*
        from {{ view }} as records
        inner join {{ applied_loads }} as applied_loads on records._load_id = applied_loads.load_id
        where applied_loads.model = {{ ingot.model_name_sql(model) }}
    ),

    pruned_loads as (
        select loads.load_id
        from {{ loads }} as loads
        inner join {{ applied_loads }} as applied_loads on loads.load_id = applied_loads.load_id
        where
            loads.status = 'pruned'
            and applied_loads.model = {{ ingot.model_name_sql(model) }}
    ),

    {% if parent_key -%}
    mentions as (
        select
            *,
            max(_version) over (partition by {{ parent_key }}) as _latest_version
        from landed_records
    ),

    last_mentions as (
        select distinct on ({{ keys | join(', ') }}) *
        from mentions
        where {{ columns | join(' is not null and ') }} is not null
        order by {{ keys | join(', ') }}, _version desc, _element_number desc
    ),
    {%- endif %}

    landed as (
        select distinct
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            true as is_landed
        from {{ 'last_mentions' if parent_key else 'landed_records' }}
        where {% if parent_key %}_version = _latest_version{% else %}{{ columns | join(' is not null and ') }} is not null{% endif %}
    ),

    built as (
        select
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            true as is_built
        from {{ model }}
    )

    select
        {% for column in columns -%}
        coalesce(landed.{{ column }}, built.{{ column }}) as {{ column }},
        {% endfor -%}
        coalesce(landed.is_landed, false) as is_landed,
        coalesce(built.is_built, false) as is_built
    from landed
    full join built
        on
            {%- for column in columns %}
            {{ 'and ' if not loop.first }}landed.{{ column }} = built.{{ column }}
            {%- endfor %}
    where
        built.is_built is null
        or landed.is_landed is null and not exists (select * from pruned_loads)
{% endtest %}
