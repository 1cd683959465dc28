with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'members').render() }}
    where {{ complete_loads_only(source('evo', 'members')) }}
),

files as (
    {{ file_versions(source('evo', 'members')) }}
),

{# A parent without an element has a row, too: it says that there is none any more. #}
elements as (
    {{ json_elements('contacts', parent_key='idMember', fields=[
        'idPhone',
        'contactType',
        'description',
        'ddi'
    ]) }}
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
