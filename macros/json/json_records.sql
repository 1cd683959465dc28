{#
    Render the records of a raw JSON table, out of the CTEs `source` and `files` of a staging model,
    with their lineage: the fields as text, and `documents` as jsonb, NULL where a record lacks them
    or is no object.

    One pass takes a document apart: on 29 fields a third of the time of as many `->>`.
#}
{% macro json_records(fields, documents=[]) -%}
    select
        {{ ingot.record_lineage() }},
        {{ adapter.dispatch('json_fields', 'ingot')('source.raw', fields, documents) }}
{%- endmacro %}


{#
    Render, in the same way, the elements of each record's `array`, with the record's `parent_key` as
    parent_id and the element's number. A record without an element has a row, too: it says that
    there is none any more.
#}
{% macro json_elements(array, parent_key, fields) -%}
    {{ adapter.dispatch('json_elements', 'ingot')(array, parent_key, fields) }}
{%- endmacro %}


{% macro record_lineage() -%}
    source._load_id,
        source._file_id,
        files._run_id,
        files._first_load_id,
        {{ ingot.record_version('files', 'source') }} as _version
{%- endmacro %}


{# Render the last columns of a select list, and its from clause. #}
{% macro postgres__json_fields(document, fields, documents) -%}
    {%- if ingot.has_citus() -%}
    {{ ingot.json_operators(document, fields, documents) }}
    from source
    inner join files on source._file_id = files._file_id
    {%- else -%}
    record.*
    from source
    inner join files on source._file_id = files._file_id
    cross join lateral jsonb_to_record({{ ingot.json_object(document) }}) as record (
        {{ ingot.json_columns(fields, documents) }}
    )
    {%- endif -%}
{%- endmacro %}


{#
    Render the same columns, each by an operator of its own: jsonb_to_record is not immutable, and Citus
    pushes nothing else down to the shards. What is no object has no fields to `->>` either.
#}
{% macro json_operators(document, fields, documents=[]) -%}
    {%- for field in fields -%}
        {{ document }} ->> '{{ field }}' as {{ adapter.quote(field) }}{{ ',\n        ' if not loop.last or documents }}
    {%- endfor -%}
    {%- for field in documents -%}
        nullif({{ document }} -> '{{ field }}', 'null') as {{ adapter.quote(field) }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{% macro json_columns(fields, documents=[]) -%}
    {%- for field in fields -%}
        {{ adapter.quote(field) }} text{{ ',\n        ' if not loop.last or documents }}
    {%- endfor -%}
    {%- for field in documents -%}
        {{ adapter.quote(field) }} jsonb{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{% macro postgres__json_elements(array, parent_key, fields) -%}
    select
        {{ ingot.json_operators('items.item', fields) if ingot.has_citus() else 'element.*' }},
        parents._load_id,
        parents._file_id,
        parents._run_id,
        parents._first_load_id,
        parents._version,
        parents.{{ adapter.quote(parent_key) }} as parent_id,
        items._element_number
    from (
        {{ ingot.json_records([parent_key], [array]) | indent(8) }}
    ) as parents
    left join lateral
        {{ ingot.json_objects('parents.' ~ adapter.quote(array)) }}
        with ordinality as items (item, _element_number) on true
    {% if not ingot.has_citus() -%}
    left join lateral jsonb_to_record(items.item) as element (
        {{ ingot.json_columns(fields) }}
    ) on true
    {%- endif %}
{%- endmacro %}


{#
    A list of one, because the optimizer moves a filter below all but the unnesting of a list, and would take a
    document apart once for each field of the filter: 1,200,000 entries whose key is not NULL took 8.3 s in
    place of 3.8.
#}
{% macro duckdb__json_fields(document, fields, documents) -%}
    unnest([json_transform({{ document }}, '{{ ingot.json_shape(fields, documents) }}')], recursive := true)
    from source
    inner join files on source._file_id = files._file_id
{%- endmacro %}


{# Render what json_transform makes of an object: a struct of these fields. #}
{% macro json_shape(fields, documents=[]) -%}
    {%- set shape = {} -%}
    {%- for field in fields -%}{%- do shape.update({field: 'VARCHAR'}) -%}{%- endfor -%}
    {%- for field in documents -%}{%- do shape.update({field: 'JSON'}) -%}{%- endfor -%}
    {{ tojson(shape) }}
{%- endmacro %}


{#
    A value that is no object becomes a struct of NULLs, as an empty object does: neither is an element.
    Of two lists that are unnested side by side, the shorter one ends in NULLs.
#}
{% macro duckdb__json_elements(array, parent_key, fields) -%}
    {%- set shape = ingot.json_shape(fields) -%}
    select
        * exclude (elements, element),
        unnest(element)
    from (
        select
            *,
            unnest(coalesce(nullif(elements, []), [null])) as element,
            generate_subscripts(elements, 1) as _element_number
        from (
            select
                {{ ingot.record_lineage() | indent(8) }},
                source.raw ->> '{{ parent_key }}' as parent_id,
                list_filter(
                    coalesce(
                        json_transform(source.raw, '{"{{ array }}": [{{ shape }}]}').{{ adapter.quote(array) }},
                        [json_transform(source.raw, '{"{{ array }}": {{ shape }}}').{{ adapter.quote(array) }}]
                    ),
                    lambda element: element is not null
                        and element is distinct from { {%- for field in fields %}'{{ field }}': null::varchar{{ ', ' if not loop.last }}{% endfor -%} }
                ) as elements
            from source
            inner join files on source._file_id = files._file_id
        ) as parents
    ) as numbered
{%- endmacro %}
