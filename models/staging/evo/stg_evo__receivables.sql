with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'sales').render() }}
    where {{ complete_loads_only(source('evo', 'sales')) }}
),

files as (
    {{ file_versions(source('evo', 'sales')) }}
),

{# A parent without an element has a row, too: it says that there is none any more. #}
elements as (
    {{ json_elements('receivables', parent_key='idSale', fields=[
        'idReceivable',
        'dueDate',
        'ammount',
        'ammountPaid',
        'paymentDate',
        'status',
        'paymentMethodName'
    ]) }}
),

renamed as (
    select
        {{ try_cast('parent_id', 'bigint') }} as sale_id,
        {{ try_cast('"idReceivable"', 'bigint') }} as receivable_id,
        {{ try_cast_day('"dueDate"') }} as due_date,
        {{ try_cast_amount('ammount') }} as amount,
        {{ try_cast_amount('"ammountPaid"') }} as amount_paid,
        {{ try_cast_utc('"paymentDate"') }} as payment_date,
        nullif(status, '') as status,
        nullif("paymentMethodName", '') as payment_method,

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
