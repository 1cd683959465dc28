with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('evo', 'members').render() }}
    where {{ complete_loads_only(source('evo', 'members')) }}
),

files as (
    {{ file_versions(source('evo', 'members')) }}
),

{# A parent without an element has a row, too: it says that there is none any more. #}
elements as (
    {{ json_elements('memberships', parent_key='idMember', fields=[
        'idMemberMembership',
        'idMembership',
        'name',
        'startDate',
        'endDate',
        'membershipStatus',
        'cancelDate',
        'idSale',
        'saleDate',
        'valueNextMonth',
        'loyaltyEndDate'
    ]) }}
),

renamed as (
    select
        {{ try_cast('parent_id', 'bigint') }} as member_id,
        {{ try_cast('"idMemberMembership"', 'bigint') }} as member_membership_id,
        {{ try_cast('"idMembership"', 'bigint') }} as membership_id,
        nullif(name, '') as name,
        {{ try_cast_day('"startDate"') }} as start_date,
        {{ try_cast_day('"endDate"') }} as end_date,
        nullif("membershipStatus", '') as membership_status,
        {{ try_cast_utc('"cancelDate"') }} as cancel_date,
        {{ try_cast('"idSale"', 'bigint') }} as sale_id,
        {{ try_cast_utc('"saleDate"') }} as sale_date,
        {{ try_cast_amount('"valueNextMonth"') }} as value_next_month,
        {{ try_cast_day('"loyaltyEndDate"') }} as loyalty_end_date,

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
