{#
    Render the elements of each record's `array`, out of the CTEs `source` and `files` of a staging
    model, with their lineage: the fields as text, the record's `parent_key` as parent_id, and the
    element's number. A record without an element has a row, too: it says that there is none any more.

    One function takes the whole array apart: to unnest it and take each element apart costs a tenth
    more (4.5 s of processor time against 4.1, for 260,000 sales with 675,000 receivables).
#}
{% macro json_elements(array, parent_key, fields) -%}
    {%- set columns, names = [], [] -%}
    {%- for field in fields -%}
        {%- do columns.append(adapter.quote(field) ~ ' text') -%}
        {%- do names.append(adapter.quote(field)) -%}
    {%- endfor -%}
    select
        {% for name in names -%}
        elements.{{ name }},
        {% endfor -%}
        parents._load_id,
        parents._file_id,
        parents._run_id,
        parents._first_load_id,
        parents._version,
        parents.parent_id,
        elements._element_number
    from (
        select
            source._load_id,
            source._file_id,
            files._run_id,
            files._first_load_id,
            {{ ingot.record_version('files', 'source') }} as _version,
            parent.{{ adapter.quote(parent_key) }} as parent_id,
            parent.{{ adapter.quote(array) }} as elements
        from source
        inner join files on source._file_id = files._file_id
        cross join lateral jsonb_to_record({{ ingot.json_object('source.raw') }}) as parent (
            {{ adapter.quote(parent_key) }} text,
            {{ adapter.quote(array) }} jsonb
        )
    ) as parents
    left join lateral rows from (
        jsonb_to_recordset({{ ingot.json_objects('parents.elements') }}) as (
            {{ columns | join(',\n            ') }}
        )
    ) with ordinality as elements ({{ names | join(', ') }}, _element_number) on true
{%- endmacro %}
