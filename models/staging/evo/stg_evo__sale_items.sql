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
    {{ json_elements('saleItens', parent_key='idSale', fields=[
        'idSaleItem',
        'itemName',
        'itemType',
        'quantity',
        'value',
        'totalValue'
    ]) }}
),

renamed as (
    select
        {{ try_cast('parent_id', 'bigint') }} as sale_id,
        {{ try_cast('"idSaleItem"', 'bigint') }} as sale_item_id,
        nullif("itemName", '') as item_name,
        nullif("itemType", '') as item_type,
        {{ try_cast_amount('quantity') }} as quantity,
        {{ try_cast_amount('value') }} as unit_value,
        {{ try_cast_amount('"totalValue"') }} as total_value,

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
