{#
    Render the elements that the latest versions of their parents hold, out of a staging view that
    has one row an element of each delivered version, and one without an element where the version
    has none.

    The last mention of an element decides whose it is, and it exists if that parent's latest
    version still holds it. Both can be told from the records of an increment alone, so that any
    sequence of increments ends where a full refresh does.

    Where Citus has gathered the elements (see gathered_sql), each knows its parent's latest version,
    and the parents that were delivered are known, too.

    On an increment there are two more kinds of rows, which the strategy upsert_elements takes as
    its orders to delete: a parent without an element says that the parent was delivered, an
    element without a parent that it is gone.
#}
{% macro latest_elements(elements, parent_key, unique_key, columns) -%}
    {%- set key = unique_key | join(', ') -%}
    {%- set element_key = (unique_key | reject('equalto', parent_key) | list)[0] -%}
    {%- set is_gathered = ingot.makes_tables() and ingot.gathered_view() -%}
    {%- set others = columns | reject('in', [parent_key, element_key]) | list -%}
    select
        {% if is_incremental() and parent_key not in unique_key -%}
        case when _version = _latest_version then {{ parent_key }} end as {{ parent_key }},
        {%- else -%}
        {{ parent_key }},
        {%- endif %}
        {{ element_key }},
        {{ others | join(', ') }}
    from (
        select {{ ingot.distinct_on(key) }}
            {{ elements }}.*
            {%- if not is_gathered %},
            latest_parents._latest_version
            {%- endif %}
        from {{ elements }}
        {% if not is_gathered -%}
        inner join (
            select
                {{ parent_key }},
                max(_version) as _latest_version
            from {{ elements }}
            group by {{ parent_key }}
        ) as latest_parents using ({{ parent_key }})
        {% endif -%}
        where {{ element_key }} is not null
        {{ ingot.first_by(key, '_version desc, _element_number desc') }}
    ) as last_mentions
    {% if not is_incremental() or parent_key in unique_key -%}
    where _version = _latest_version
    {%- endif %}
    {% if is_incremental() and not is_gathered -%}
    union all
    {# Other values stay, because a bare NULL has no type; nobody reads them. #}
    select distinct on ({{ parent_key }})
        {{ parent_key }},
        null::bigint as {{ element_key }},
        {{ others | join(', ') }}
    from {{ elements }}
    where {{ parent_key }} is not null
    {%- endif %}
{%- endmacro %}
