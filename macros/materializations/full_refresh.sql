{#
    Build the whole table, in the way that `meta.full_refresh_mode` names: `swap` builds beside
    the table and takes its place, `difference` changes the rows that differ, `in_place` empties
    the table and fills it again while readers wait. Where a swap would lose something, it is
    the difference; where that cannot be, nothing happens.
#}
{% macro full_refresh(existing, mode=none) %}
    {% set modes = ['swap', 'difference', 'in_place'] %}
    {% set mode = mode or config.meta_get('full_refresh_mode', 'swap') %}
    {% if mode not in modes %}
        {{ exceptions.raise_compiler_error(
            "full_refresh_mode of " ~ this ~ " is '" ~ mode ~ "': set it to "
            ~ modes | join(', ') ~ ' in the `meta` of its config.'
        ) }}
    {% endif %}

    {% set table = this.incorporate(type='table') %}
    {% set built = make_intermediate_relation(table) %}
    {% set retired = ingot.retired_relation(table) %}
    {% set is_committed = false %}
    {% if existing is none %}
        {% do ingot.run_pre_hooks() %}
        {% do ingot.build_first(table, built) %}
    {% else %}
        {% do ingot.check_reads_something(table) %}
        {% set leftover_in_use = ingot.drop_leftovers([built, retired]) %}
        {% do ingot.run_pre_hooks() %}
        {% set found = ingot.attachments(table) %}
        {% set way = ingot.refresh_way(table, mode, found, leftover_in_use) %}
        {% if way == 'in_place' %}
            {% do ingot.rebuild_in_place(table) %}
        {% elif way == 'difference' %}
            {% do ingot.refresh_by_difference(table) %}
        {% else %}
            {% set is_committed = ingot.build_and_swap(table, built, can_differ=not ingot.hindrances(table, found)) %}
        {% endif %}
    {% endif %}

    {% if not is_committed %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% endif %}
    {% do adapter.commit() %}
    {% if existing is not none %}
        {% do ingot.begin_transaction() %}
        {% set left = ingot.drop_leftovers([built, retired]) %}
        {% if left %}
            {% do log(table ~ ': the next full refresh drops what is left: ' ~ left, info=true) %}
        {% endif %}
        {% do adapter.commit() %}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [table]}) }}
{% endmacro %}


{% macro build_first(table, built) %}
    {% do drop_relation_if_exists(ingot.current_relation(built)) %}
    {% call statement('main') %}
        {{ get_create_table_as_sql(False, built, sql) }}
    {% endcall %}
    {% do create_indexes(built) %}
    {% do run_query('analyze ' ~ built) %}
    {% do ingot.copy_to_nodes(built) %}
    {% do run_query('alter table ' ~ built ~ ' rename to ' ~ adapter.quote(table.identifier)) %}
    {% do apply_grants(table, config.get('grants'), should_revoke=false) %}
    {% do persist_docs(table, model) %}
{% endmacro %}


{#
    Return, by kind, what the table has that the model built anew has not. Compared with an empty
    table of the same model, which is rolled back: only that has the exact types.
#}
{% macro attachments(table) %}
    {% set fresh = make_intermediate_relation(table, '__dbt_fresh') %}
    {% do run_query('savepoint fresh') %}
    {% call statement('fresh') %}
        {% if ingot.distribution() %}
        {{ ingot.create_empty_sql(fresh, ingot.contracted_select_sql(ingot.ungathered_sql(sql), checked=false)) }};
        {% set additions = ingot.constraint_additions() if config.get('contract').enforced else [] %}
        {% if additions %}
        alter table {{ fresh }} {{ additions | join(', ') }};
        {% endif %}
        {% else %}
        {{ get_create_table_as_sql(False, fresh, 'select * from (' ~ sql ~ '\n) as no_rows limit 0') }}
        {% endif %}
    {% endcall %}
    {% do create_indexes(fresh) %}
    {% set found = {} %}
    {% for kind, what in run_query(ingot.attachments_sql(table, fresh)).rows %}
        {% do found.setdefault(kind, []).append(what) %}
    {% endfor %}
    {% do run_query('rollback to savepoint fresh') %}
    {{ return(found) }}
{% endmacro %}


{# Return the way that loses nothing, or stop with all that is in the way, by name. #}
{% macro refresh_way(table, mode, found, leftover_in_use) %}
    {% set losses = found.get('attached', []) %}
    {% if mode == 'in_place' %}
        {% do ingot.check_refresh(
            table, 'cannot go in place, because of',
            found.get('column', []) + found.get('reference', []) + found.get('in_place', [])
        ) %}
        {{ return(mode) }}
    {% endif %}
    {% if mode == 'swap' and not losses and not leftover_in_use %}
        {% do ingot.check_refresh(table, 'changes columns that views read', found.get('view', [])) %}
        {% if found.get('column') %}
            {% do log(table ~ ' changes its columns: ' ~ found['column'] | join(', '), info=true) %}
        {% endif %}
        {{ return(mode) }}
    {% endif %}

    {% set because = 'a swap would lose: ' ~ losses | join('; ') if losses else leftover_in_use %}
    {% do ingot.check_refresh(
        table, 'cannot go by difference' ~ (' (' ~ because ~ ')' if because) ~ ', because of',
        ingot.hindrances(table, found)
    ) %}
    {% if because %}
        {% do log(table ~ ' goes by difference, since ' ~ because, info=true) %}
    {% endif %}
    {{ return('difference') }}
{% endmacro %}


{# Return what stands in the way of a refresh by difference. #}
{% macro hindrances(table, found) %}
    {% set reasons = found.get('blocking', []) + found.get('reference', []) %}
    {% for column in found.get('column', []) %}
        {% do reasons.append('column ' ~ column ~ ' changes') %}
    {% endfor %}
    {% for part in found.get('lacking', []) %}
        {% do reasons.append(part ~ ' of the model is missing') %}
    {% endfor %}
    {% if not ingot.difference_keys(table) %}
        {% do reasons.append('no unique index has columns that are all not null') %}
    {% endif %}
    {{ return(reasons) }}
{% endmacro %}


{% macro check_refresh(table, problem, reasons) %}
    {% if reasons %}
        {{ exceptions.raise_compiler_error(
            'The full refresh of ' ~ table ~ ' ' ~ problem ~ ': ' ~ reasons | join('; ')
            ~ '. It stays as it was. Drop what is in the way (and create it anew afterwards), or set '
            ~ 'another `full_refresh_mode` in the `meta` of its config for this run.'
        ) }}
    {% endif %}
{% endmacro %}


{# Drop what a failed run has left, each in a transaction of its own; return what is in use. #}
{% macro drop_leftovers(relations) %}
    {% set in_use = [] %}
    {% for relation in relations if ingot.current_relation(relation) is not none %}
        {% set leftover = ingot.current_relation(relation) %}
        {% set obstacle %}
        {%- if leftover.is_table %}
            {%- call ingot.in_a_gap([leftover], 2) %}
                {{ ingot.bound_wait() }}
                drop table {{ leftover }} restrict;
            {% endcall %}
        {%- else %}
            {%- do adapter.drop_relation(leftover) %}
        {%- endif %}
        {% endset %}
        {% do run_query('commit') %}
        {% do ingot.begin_transaction() %}
        {% if obstacle | trim %}
            {% do in_use.append(leftover.identifier ~ ' is in use, ' ~ obstacle | trim) %}
        {% endif %}
        {% do ingot.current_relation(relation) %}
    {% endfor %}
    {{ return(in_use | join('; ')) }}
{% endmacro %}


{% macro run_pre_hooks() %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% if pre_hooks | rejectattr('transaction') | list %}
        {% do ingot.begin_transaction() %}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
{% endmacro %}


{#
    dbt commits by the word, which its driver does not notice: the driver begins no transaction
    after it, and every later statement would be one of its own.
#}
{% macro begin_transaction() %}
    {% call statement('begin') %}begin{% endcall %}
{% endmacro %}
