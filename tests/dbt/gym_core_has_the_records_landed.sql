-- Core has the gym's parents of the loads that it has applied, and the elements whose last mention
-- is in the latest version of their parent.
{% set parents = {
    'gym_members': ('stg_evo__members', 'member_id'),
    'gym_prospects': ('stg_evo__prospects', 'prospect_id'),
    'gym_sales': ('stg_evo__sales', 'sale_id'),
    'gym_entries': ('stg_evo__entries', 'entry_id'),
} %}
{% set elements = {
    'gym_member_contacts': ('stg_evo__member_contacts', 'member_id', 'member_id, contact_id'),
    'gym_member_memberships': ('stg_evo__member_memberships', 'member_id', 'member_membership_id'),
    'gym_sale_items': ('stg_evo__sale_items', 'sale_id', 'sale_item_id'),
    'gym_receivables': ('stg_evo__receivables', 'sale_id', 'receivable_id'),
} %}

with

applied_loads as (
    select
        model as model_name,
        load_id as _load_id
    from ops.applied_loads
),

{% for model, (view, parent_key, unique_key) in elements.items() -%}
{{ model }}_versions as (
    select
        elements.*,
        max(elements._version) over (partition by elements.{{ parent_key }}) as _latest_version
    from {{ ref(view) }} as elements
    inner join applied_loads on elements._load_id = applied_loads._load_id
    where applied_loads.model_name = 'core.{{ model }}' and elements.{{ parent_key }} is not null
),

{{ model }}_mentions as (
    select distinct on ({{ unique_key }})
        _version,
        _latest_version
    from {{ model }}_versions
    where {{ (unique_key.split(', ') | last) }} is not null
    order by {{ unique_key }}, _version desc, _element_number desc
),

{% endfor -%}

counts as (
    {% for model, (view, key) in parents.items() -%}
    select
        '{{ model }}' as model_name,
        count(distinct records.{{ key }}) as landed_count,
        (select count(*) from {{ ref(model) }}) as built_count
    from {{ ref(view) }} as records
    inner join applied_loads on records._load_id = applied_loads._load_id
    where applied_loads.model_name = 'core.{{ model }}'
    union all
    {% endfor -%}
    {% for model in elements -%}
    select
        '{{ model }}' as model_name,
        count(*) as landed_count,
        (select count(*) from {{ ref(model) }}) as built_count
    from {{ model }}_mentions
    where _version = _latest_version
    {{ 'union all' if not loop.last }}
    {% endfor -%}
)

select * from counts
where landed_count <> built_count
