{#
    Return what pending_loads has decided that this model reads in this run, by raw table. It
    stands in `graph`, the one dictionary that a node's compilation and its hooks share, where no
    data can enter: parsed out of the compiled SQL, a folder's name could pose as a list.
#}
{% macro loads_read() %}
    {{ return(graph.setdefault('loads read by ' ~ model.unique_id ~ ' in ' ~ invocation_id, {})) }}
{% endmacro %}


{#
    Render the statements, of PL/pgSQL, that stop where a load that was read is not complete any
    more, and keep others from changing that until the transaction ends: what discards loads
    takes this lock alone. The rows of such a load are gone, or replaced.
#}
{% macro check_loads_sql() %}
    {% for list in ingot.loads_read().values() | sort(attribute='raw_table') if list.load_ids and not flags.EMPTY %}
        perform pg_advisory_xact_lock_shared(1229866755, {{ ingot.name_hash(list.relation) }});
        if exists (
            select from unnest('{{ "{" ~ list.load_ids | join(",") ~ "}" }}'::integer[]) as load_id
            left join ops.loads using (load_id)
            where status is distinct from 'complete'
        ) then
            raise exception using message = (
                select format(
                    '%s has read loads of {{ list.raw_table }} that are not complete any more (%s): '
                    'nothing of it is kept. Run it again.',
                    {{ ingot.literal(this.schema ~ '.' ~ this.identifier) }},
                    string_agg(concat(load_id, ' ', coalesce(status, 'is gone')), ', ' order by load_id)
                )
                from unnest('{{ "{" ~ list.load_ids | join(",") ~ "}" }}'::integer[]) as load_id
                left join ops.loads using (load_id)
                where status is distinct from 'complete'
            );
        end if;
    {% endfor %}
{% endmacro %}


{# Stop a full refresh that would read no load at all in place of rows that are there. #}
{% macro check_reads_something(table) %}
    {% set lists = ingot.loads_read().values() | list %}
    {% if lists and not flags.EMPTY and not (lists | map(attribute='load_ids') | sum(start=[])) %}
        {% if not var('allow_empty_refresh', false)
            and run_query('select from ' ~ table ~ ' limit 1').rows | length > 0 %}
            {{ exceptions.raise_compiler_error(
                'The full refresh of ' ~ table ~ ' would empty it: no load of '
                ~ lists | map(attribute='raw_table') | join(', ') ~ ' is complete. See `' ~ ingot.loader_command()
                ~ " status`; to empty it on purpose, add --vars '{allow_empty_refresh: true}'."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
