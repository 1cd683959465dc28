with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'members').render() }}
    where {{ complete_loads_only(source('evo', 'members')) }}
),

files as (
    {{ file_versions(source('evo', 'members')) }}
),

fields as (
    {{ json_records([
        'idMember',
        'idBranch',
        'branchName',
        'firstName',
        'lastName',
        'registerName',
        'document',
        'documentId',
        'gender',
        'birthDate',
        'address',
        'number',
        'neighborhood',
        'city',
        'state',
        'zipCode',
        'status',
        'membershipStatus',
        'accessBlocked',
        'blockedReason',
        'gympassId',
        'codeTotalpass',
        'userIdGurupass',
        'personalTrainer',
        'registerDate',
        'conversionDate',
        'lastAccessDate',
        'idEmployeeConsultant',
        'idEmployeeInstructor'
    ], documents=['contacts']) }}
),

renamed as (
    select
        {{ try_cast('"idMember"', 'bigint') }} as member_id,
        {{ try_cast('"idBranch"', 'bigint') }} as branch_id,
        nullif("branchName", '') as branch_name,
        nullif("firstName", '') as first_name,
        nullif("lastName", '') as last_name,
        nullif(concat_ws(' ', nullif("firstName", ''), nullif("lastName", '')), '') as full_name,
        nullif("registerName", '') as register_name,
        nullif(document, '') as document,
        nullif("documentId", '') as document_id,
        nullif(gender, '') as gender,
        {{ try_cast_day('"birthDate"') }} as birth_date,
        nullif(address, '') as address,
        nullif(number, '') as number,
        nullif(neighborhood, '') as neighborhood,
        nullif(city, '') as city,
        nullif(state, '') as state,
        nullif("zipCode", '') as zip_code,
        nullif(status, '') as status,
        nullif("membershipStatus", '') as membership_status,
        coalesce({{ try_cast('"accessBlocked"', 'boolean') }}, false) as access_blocked,
        nullif("blockedReason", '') as blocked_reason,
        nullif("gympassId", '') as gympass_id,
        nullif("codeTotalpass", '') as code_totalpass,
        nullif("userIdGurupass", '') as user_id_gurupass,
        coalesce({{ try_cast('"personalTrainer"', 'boolean') }}, false) as personal_trainer,
        {{ try_cast_utc('"registerDate"') }} as register_date,
        {{ try_cast_utc('"conversionDate"') }} as conversion_date,
        {{ try_cast_utc('"lastAccessDate"') }} as last_access_date,
        {{ try_cast('"idEmployeeConsultant"', 'bigint') }} as employee_consultant_id,
        {{ try_cast('"idEmployeeInstructor"', 'bigint') }} as employee_instructor_id,
        {{ json_first('contacts', 'contactType', 'Email', 'description') }} as email,
        {{ json_first('contacts', 'contactType', 'Cellphone', 'description') }} as cellphone,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from fields
)

select * from renamed
