with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'entries').render() }}
    where {{ complete_loads_only(source('evo', 'entries')) }}
),

files as (
    {{ file_versions(source('evo', 'entries')) }}
),

fields as (
    {{ json_records([
        'idMember',
        'idBranch',
        'entryDate',
        'registerDate',
        'device',
        'action',
        'idMembership'
    ]) }}
),

renamed as (
    select
        {#- As delivered, so that no session's way of writing dates is part of the key. #}
        case
            when concat("idMember", "idBranch", "entryDate", "registerDate") <> ''
                then md5(concat(
                    "idMember", '|', "idBranch", '|', "entryDate", '|', "registerDate"
                ))::uuid
        end as entry_id,
        {{ try_cast('"idMember"', 'bigint') }} as member_id,
        {{ try_cast('"idBranch"', 'bigint') }} as branch_id,
        {{ try_cast_utc('"entryDate"') }} as entry_date,
        {{ try_cast_utc('"registerDate"') }} as register_date,
        nullif(device, '') as device,
        nullif(action, '') as entry_action,
        {{ try_cast('"idMembership"', 'bigint') }} as membership_id,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from fields
)

select * from renamed
