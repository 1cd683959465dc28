with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'sales').render() }}
    where {{ complete_loads_only(source('evo', 'sales')) }}
),

files as (
    {{ file_versions(source('evo', 'sales')) }}
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
        "idSale" text,
        receivables jsonb
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
        parents."idSale" as parent_id,
        items._element_number
    from parents
    left join lateral jsonb_array_elements(
        {{ json_objects('parents.receivables') }}
    ) with ordinality as items (item, _element_number) on true
    left join lateral jsonb_to_record(items.item) as element (
        "idReceivable" text,
        "dueDate" text,
        ammount text,
        "ammountPaid" text,
        "paymentDate" text,
        status text,
        "paymentMethodName" text
    ) on true
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
