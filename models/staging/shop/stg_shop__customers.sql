with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('shop', 'customers').render() }}
    where {{ complete_loads_only(source('shop', 'customers')) }}
),

files as (
    {{ file_versions(source('shop', 'customers')) }}
),

versions as (
    {{ with_versions('source', 'files') }}
),

renamed as (
    select
        {{ try_cast('id', 'bigint') }} as customer_id,

        -- the customer
        nullif(name, '') as name,
        nullif(role, '') as role,
        {{ try_cast('level', 'integer') }} as level,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from versions
)

select * from renamed
