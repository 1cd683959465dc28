{#
    The incremental strategy `upsert_elements`: upsert, after the elements have been deleted that
    vanished from their parents. latest_elements writes the orders to delete into the delta, and
    `meta.parent_key` names the parent's column. All of it is the model's one transaction; an
    empty delta (`--empty`) deletes nothing.
#}
{% macro get_incremental_upsert_elements_sql(arg_dict) %}
    {% set table, delta = arg_dict['target_relation'], arg_dict['temp_relation'] %}
    {% set keys = ingot.upsert_keys(table, arg_dict['unique_key']) %}
    {% set parent_key = config.get('meta', {}).get('parent_key') %}
    {% set element_keys = keys | reject('equalto', parent_key) | list %}
    {% if not parent_key or element_keys | length != 1 %}
        {{ exceptions.raise_compiler_error(
            'The strategy upsert_elements needs the column of the parent: set `meta: {parent_key: ...}` in the config of '
            ~ this ~ ', and in `unique_key` one other column.'
        ) }}
    {% endif %}
    {% set parent, element = adapter.quote(parent_key), adapter.quote(element_keys[0]) %}

    analyze {{ delta }};

    {% if parent_key not in keys %}
    delete from {{ table }} as kept
    using {{ delta }} as gone
    where gone.{{ parent }} is null and kept.{{ element }} = gone.{{ element }};
    {% endif %}

    delete from {{ table }} as kept
    {% if ingot.gathered_view() %}
    where
        kept.{{ parent }} in (select {{ parent }} from {{ ingot.gathered_relations()[1] }})
    {% else %}
    using {{ delta }} as delivered
    where
        delivered.{{ element }} is null
        and kept.{{ parent }} = delivered.{{ parent }}
    {% endif %}
        and not exists (
            select 1 from {{ delta }} as present
            where
                ({{ ingot.quoted_list(keys, 'present') }}) = ({{ ingot.quoted_list(keys, 'kept') }})
                and present.{{ parent }} is not null
        );

    delete from {{ delta }}
    where {{ parent }} is null or {{ element }} is null;

    {{ ingot.get_incremental_upsert_sql(arg_dict) }}
{% endmacro %}
