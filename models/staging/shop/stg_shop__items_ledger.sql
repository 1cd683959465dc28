with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('shop', 'items_ledger').render() }}
    where {{ complete_loads_only(source('shop', 'items_ledger')) }}
),

files as (
    {{ file_versions(source('shop', 'items_ledger')) }}
),

versions as (
    {{ with_versions('source', 'files') }}
),

renamed as (
    select
        {{ try_cast('id', 'bigint') }} as entry_id,

        -- what is traded
        {{ try_cast('item_id', 'integer') }} as item_id,
        nullif(item_sku, '') as item_sku,

        -- what it changes
        {{ try_cast('qty_change', 'integer') }} as qty_change,
        {{ try_cast('credit_change', 'integer') }} as credit_change,

        -- by whom and when
        {{ try_cast('customer_id', 'bigint') }} as customer_id,
        {{ try_cast('created_at', 'timestamptz') }} as created_at,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from versions
)

select * from renamed
