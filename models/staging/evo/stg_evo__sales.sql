with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'sales').render() }}
    where {{ complete_loads_only(source('evo', 'sales')) }}
),

files as (
    {{ file_versions(source('evo', 'sales')) }}
),

fields as (
    {{ json_records([
        'idSale',
        'idBranch',
        'idMember',
        'idProspect',
        'saleDate',
        'totalValue',
        'discountValue',
        'servicePaymentStatus',
        'flRemoved',
        'idEmployee'
    ]) }}
),

renamed as (
    select
        {{ try_cast('"idSale"', 'bigint') }} as sale_id,
        {{ try_cast('"idBranch"', 'bigint') }} as branch_id,
        {{ try_cast('"idMember"', 'bigint') }} as member_id,
        {{ try_cast('"idProspect"', 'bigint') }} as prospect_id,
        {{ try_cast_utc('"saleDate"') }} as sale_date,
        {{ try_cast_amount('"totalValue"') }} as total_value,
        {{ try_cast_amount('"discountValue"') }} as discount_value,
        nullif("servicePaymentStatus", '') as payment_status,
        coalesce({{ try_cast('"flRemoved"', 'boolean') }}, false) as removed,
        {{ try_cast('"idEmployee"', 'bigint') }} as employee_id,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from fields
)

select * from renamed
