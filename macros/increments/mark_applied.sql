{#
    Record, inside the model's own transaction, the loads that the model has just read: those
    that pending_loads wrote into its compiled SQL, so that a load that completed in between is
    neither lost nor marked.

    --empty reads nothing, so it marks nothing; where it has rebuilt the table, the old marks go
    with the old rows.
#}
{% macro mark_applied() %}
    {% if not execute %}
        {{ return('') }}
    {% endif %}

    {% set model_name = this.schema ~ '.' ~ this.identifier %}
    {% set list_format = '/\* (all|pending) loads of (\S+): \{([0-9,]*)\} \*/' %}
    {% set lists = modules.re.findall(list_format, model.compiled_code) %}
    {% set raw_tables = lists | map(attribute=1) | list %}
    {% if raw_tables | unique | list | length < raw_tables | length %}
        {{ exceptions.raise_compiler_error(
            model_name ~ ' calls pending_loads twice for one table, and the two lists may differ: '
            ~ 'call it once, in an import CTE of its own.'
        ) }}
    {% endif %}

    {% if lists | selectattr(0, 'equalto', 'all') | list %}
        delete from ops.applied_loads where model = '{{ model_name }}';
    {% endif %}
    {% for _, _, load_ids in lists if load_ids and not flags.EMPTY %}
        insert into ops.applied_loads (model, load_id)
        select '{{ model_name }}', unnest('{{ "{" ~ load_ids ~ "}" }}'::integer[])
        on conflict do nothing;
    {% endfor %}
{% endmacro %}
