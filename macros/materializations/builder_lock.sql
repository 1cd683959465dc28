{#
    Hold the model for this session: whoever builds it is alone from before it decides what to
    read until its connection is closed, which dbt does after each node, failed ones too. Then
    look the model up in the catalog, since another builder may have made or dropped it since
    dbt filled its cache.

    The second builder asks again and again, because a session that waits in the server keeps a
    snapshot, for which the first one's swap would wait. A batch of a microbatch model is one of
    many builders, and may not wait for another.
#}
{% macro lock_model() %}
    {# Of a DuckDB file one process is the only builder. #}
    {% if ingot.is_building() and target.type != 'duckdb' %}
        {% do ingot.end_with_client() %}
        {% if not model.batch %}
            {% do ingot.wait_for_model('1229866756, ' ~ ingot.name_hash(this)) %}
            {% do ingot.current_relation(this) %}
        {% endif %}
    {% endif %}
{% endmacro %}


{#
    Have the server end this session's statement soon after dbt is gone. Without that it finishes an
    insert of minutes, and holds the model's lock, for a dbt that was killed.

    Left out on a server that cannot do it (on Windows), and where somebody has chosen a value.
#}
{% macro end_with_client() %}
    {% do run_query("
        do $$
        begin
            if current_setting('client_connection_check_interval') = '0' then
                set client_connection_check_interval = '2s';
            end if;
        exception when invalid_parameter_value then
            null;
        end
        $$
    ") %}
{% endmacro %}


{# Return whether this command changes the model's table; `compile`, `docs`, `show`, the linter and `--empty` do not. #}
{% macro is_building() %}
    {{ return(ingot.makes_tables() and not flags.EMPTY) }}
{% endmacro %}


{# Return whether this command makes the model's table; with `--empty`, without rows. #}
{% macro makes_tables() %}
    {{ return(
        execute and model.resource_type in ('model', 'seed', 'snapshot')
        and flags.WHICH in ('run', 'build', 'retry', 'seed', 'snapshot')
    ) }}
{% endmacro %}


{% macro wait_for_model(key) %}
    {% for attempt in range(100000) %}
        {% if run_query('select pg_try_advisory_lock(' ~ key ~ ')').columns[0].values()[0] %}
            {{ return(none) }}
        {% endif %}
        {% if attempt % 60 == 0 %}
            {% set holder = run_query(ingot.builder_sql(key)).columns[0].values() | join(', ') %}
            {% do log(this.schema ~ '.' ~ this.identifier ~ ' is being built by '
                ~ (holder or 'another session') ~ ': waiting', info=true) %}
        {% endif %}
        {% do run_query('select pg_sleep(' ~ [0.1 * (attempt + 1), 1] | min ~ ')') %}
    {% endfor %}
    {{ exceptions.raise_compiler_error(this ~ ' was being built for a day: end that session.') }}
{% endmacro %}


{% macro builder_sql(key) %}
    select format(
        'process %s (%s, user %s, since %s)',
        pid, application_name, usename, backend_start::timestamp(0)
    )
    from pg_locks
    inner join pg_stat_activity using (pid)
    cross join (select {{ key }}) as sought (class_key, model_key)
    where
        locktype = 'advisory' and granted and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())
        and classid::bigint = class_key
        and objid::bigint = model_key::bigint & 4294967295
{% endmacro %}


{# Return a relation as the catalog has it, or none, and bring dbt's cache in line. #}
{% macro current_relation(relation) %}
    {% set kinds = {'r': 'table', 'p': 'table', 'v': 'view', 'm': 'materialized_view'} %}
    {% set kind = run_query(
        'select relkind::text from pg_class where oid = to_regclass(' ~ ingot.literal(relation.render()) ~ ')'
    ).columns[0].values() | first %}
    {% set found = relation.incorporate(type=kinds.get(kind, 'external')) if kind else none %}
    {% set cached = load_cached_relation(relation) %}
    {% if cached is not none and (found is none or found.type != cached.type) %}
        {% do adapter.cache_dropped(cached) %}
    {% endif %}
    {% if found is not none %}
        {% do adapter.cache_added(found) %}
    {% endif %}
    {{ return(found) }}
{% endmacro %}


{# Render the hash of a relation's name, the second key of its advisory locks. #}
{% macro name_hash(relation) -%}
    hashtext(format('%I.%I', {{ ingot.literal(relation.schema) }}, {{ ingot.literal(relation.identifier) }}))
{%- endmacro %}


{# Render text as SQL, whatever is in it and whatever standard_conforming_strings is. #}
{% macro literal(text) -%}
    {%- if modules.re.search('[^ -~]|[\\\\\']', text) -%}
        {{ ingot.text_of_hex(text.encode('utf-8').hex()) }}
    {%- else -%}
        '{{ text }}'
    {%- endif -%}
{%- endmacro %}


{# Render the text whose UTF-8 is written in hexadecimal figures. #}
{% macro text_of_hex(figures) -%}
    {{ adapter.dispatch('text_of_hex', 'ingot')(figures) }}
{%- endmacro %}


{% macro postgres__text_of_hex(figures) -%}
    convert_from(decode('{{ figures }}', 'hex'), 'UTF8')
{%- endmacro %}


{% macro duckdb__text_of_hex(figures) -%}
    decode(unhex('{{ figures }}'))
{%- endmacro %}


{# Render the hexadecimal figures of a text's UTF-8. #}
{% macro hex_of_text(expression) -%}
    {{ adapter.dispatch('hex_of_text', 'ingot')(expression) }}
{%- endmacro %}


{% macro postgres__hex_of_text(expression) -%}
    encode(convert_to({{ expression }}, 'UTF8'), 'hex')
{%- endmacro %}


{% macro duckdb__hex_of_text(expression) -%}
    hex(encode({{ expression }}))
{%- endmacro %}
