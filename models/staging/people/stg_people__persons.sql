with

source as (
    {# render(), because `--empty` must not leave a view behind that reads nothing #}
    select * from {{ source('people', 'persons').render() }}
    where {{ complete_loads_only(source('people', 'persons')) }}
),

files as (
    {{ file_versions(source('people', 'persons')) }}
),

versions as (
    {{ with_versions('source', 'files') }}
),

renamed as (
    select
        {{ try_cast('id', 'bigint') }} as person_id,

        -- the person
        nullif(name, '') as name,
        {{ try_cast('age', 'integer') }} as age,
        {{ try_cast('is_married', 'boolean') }} as is_married,

        -- the place last visited
        nullif(city, '') as city,
        nullif(state, '') as state,
        nullif(country, '') as country,

        -- lineage
        _load_id,
        _file_id,
        _run_id,
        _first_load_id,
        _version
    from versions
)

select * from renamed
