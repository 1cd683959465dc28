with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'members').render() }}
    where {{ complete_loads_only(source('evo', 'members')) }}
),

files as (
    {{ file_versions(source('evo', 'members')) }}
),

{# One pass over the document: on 29 fields a third of the time of as many `->>`. #}
fields as (
    select
        source._load_id,
        source._file_id,
        files._run_id,
        files._first_load_id,
        {{ record_version('files', 'source') }} as _version,
        member.*
    from source
    inner join files on source._file_id = files._file_id
    cross join lateral jsonb_to_record({{ json_object('source.raw') }}) as member (
        "idMember" text,
        "idBranch" text,
        "branchName" text,
        "firstName" text,
        "lastName" text,
        "registerName" text,
        document text,
        "documentId" text,
        gender text,
        "birthDate" text,
        address text,
        number text,
        neighborhood text,
        city text,
        state text,
        "zipCode" text,
        status text,
        "membershipStatus" text,
        "accessBlocked" text,
        "blockedReason" text,
        "gympassId" text,
        "codeTotalpass" text,
        "userIdGurupass" text,
        "personalTrainer" text,
        "registerDate" text,
        "conversionDate" text,
        "lastAccessDate" text,
        "idEmployeeConsultant" text,
        "idEmployeeInstructor" text,
        contacts jsonb
    )
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
        nullif(jsonb_path_query_first(
            contacts, '$[*] ? (@.contactType == "Email").description ? (@ != "" && @ != null)'
        ) #>> '{}', '') as email,
        nullif(jsonb_path_query_first(
            contacts, '$[*] ? (@.contactType == "Cellphone").description ? (@ != "" && @ != null)'
        ) #>> '{}', '') as cellphone,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from fields
)

select * from renamed
