with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'prospects').render() }}
    where {{ complete_loads_only(source('evo', 'prospects')) }}
),

files as (
    {{ file_versions(source('evo', 'prospects')) }}
),

fields as (
    {{ json_records([
        'idProspect',
        'idBranch',
        'firstName',
        'lastName',
        'email',
        'telephone',
        'document',
        'gender',
        'currentStatus',
        'origin',
        'registerDate',
        'conversionDate',
        'idEmployeeConsultant'
    ]) }}
),

renamed as (
    select
        {{ try_cast('"idProspect"', 'bigint') }} as prospect_id,
        {{ try_cast('"idBranch"', 'bigint') }} as branch_id,
        nullif("firstName", '') as first_name,
        nullif("lastName", '') as last_name,
        nullif(email, '') as email,
        nullif(telephone, '') as cellphone,
        nullif(document, '') as document,
        nullif(gender, '') as gender,
        nullif("currentStatus", '') as status,
        nullif(origin, '') as origin,
        {{ try_cast_utc('"registerDate"') }} as register_date,
        {{ try_cast_utc('"conversionDate"') }} as conversion_date,
        {{ try_cast('"idEmployeeConsultant"', 'bigint') }} as employee_consultant_id,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from fields
)

select * from renamed
