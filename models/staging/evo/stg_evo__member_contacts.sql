with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'members').render() }}
    where {{ complete_loads_only(source('evo', 'members')) }}
),

files as (
    {{ file_versions(source('evo', 'members')) }}
),

parents as (
    select
        parent.*,
        source._load_id,
        source._file_id,
        files._run_id,
        files._first_load_id,
        {{ record_version('files', 'source') }} as _version
    from source
    inner join files on source._file_id = files._file_id
    cross join lateral jsonb_to_record({{ json_object('source.raw') }}) as parent (
        "idMember" text,
        contacts jsonb
    )
),

{# A parent without an element has a row, too: it says that there is none any more. #}
elements as (
    select
        element.*,
        parents._load_id,
        parents._file_id,
        parents._run_id,
        parents._first_load_id,
        parents._version,
        parents."idMember" as parent_id,
        items._element_number
    from parents
    left join lateral jsonb_array_elements(
        {{ json_objects('parents.contacts') }}
    ) with ordinality as items (item, _element_number) on true
    left join lateral jsonb_to_record(items.item) as element (
        "idPhone" text,
        "contactType" text,
        description text,
        ddi text
    ) on true
),

renamed as (
    select
        {{ try_cast('parent_id', 'bigint') }} as member_id,
        {{ try_cast('"idPhone"', 'bigint') }} as contact_id,
        nullif("contactType", '') as contact_type,
        nullif(description, '') as description,
        nullif(ddi, '') as ddi,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version,
        _element_number
    from elements
)

select * from renamed
