-- The ledger in a DuckDB file: of loaders/ledger.sql what models and tests read, by the same names. One process at a time
-- writes such a file, and a load is one transaction: there are no claims, no segments and no load that is not complete.

-- For unit tests, whose records are written as PostgreSQL's jsonb.
create type if not exists jsonb as json;

create schema if not exists ops;

create table if not exists ops.ledger_version as select 3 as version;

create table if not exists ops.loads (
    load_id integer not null,
    table_schema text not null,
    table_name text not null,
    status text not null,
    replaces boolean not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    files integer not null,
    bytes bigint not null,
    records bigint,
    rejected bigint,
    error text
);

create table if not exists ops.files (
    file_id integer not null,
    load_id integer not null,
    table_schema text not null,
    table_name text not null,
    path text not null,
    hive_keys json not null,
    bytes bigint not null,
    modified_ns bigint not null,
    first_load_id integer not null,
    records bigint,
    rejected bigint,
    released_at timestamptz
);

create table if not exists ops.applied_loads (
    model text not null,
    load_id integer not null,
    applied_at timestamptz default now(),
    primary key (model, load_id)
);

-- The moment (UTC) of text that the macro plain_spelling has found to be a date, with or without a time and an offset.
-- DuckDB's own cast knows no second 60, cuts off the digits that PostgreSQL rounds, and reads no offset without a colon.
create or replace macro ops.clock_of(value) as regexp_extract(value, '^.{11}([\d:.]+)', 1);

create or replace macro ops.offset_of(value) as regexp_extract(value, '^.{11}[\d:.]+ ?([-+].*)$', 1);

-- Second 60 is the next minute's first, but for the day's last minute, behind which nothing is.
create or replace macro ops.microseconds_of(clock) as case
    when clock ~ '^(([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.]\d+)?)?|24:00(:00([.]0+)?)?)?$'
        and clock !~ '^23:59:60[.]0{0,5}([1-9]|0[5-9])' then
        coalesce(try_cast(substr(clock, 1, 2) as bigint), 0) * 3600000000
        + coalesce(try_cast(substr(clock, 4, 2) as bigint), 0) * 60000000
        + coalesce(try_cast(substr(clock, 7, 2) as bigint), 0) * 1000000
        + coalesce(round_even(try_cast('0' || substr(clock, 9) as double) * 1000000, 0)::bigint, 0)
end;

create or replace macro ops.moment(value) as case
    when value < '0001' then null
    -- Most are written so, alone or with a Z or an offset behind, and it costs a tenth.
    when length(value) = 19 and value[17] = ':' and value[18] <> '6' then try_cast(value as timestamp)
    when value[17] = ':' and value[18] <> '6' and length(value) = 20 and value[20] = 'Z'
        then try_cast(value[1:19] as timestamp)
    when value[17] = ':' and value[18] <> '6' and length(value) = 25 and value[23] = ':'
        and value[21:22] < '16' and value[24] < '6'
        then try_cast(value[1:19] as timestamp)
            - to_minutes(value[20:22]::bigint * 60 + (value[20] || value[24:25])::bigint)
    else try_cast(substr(value, 1, 10) as date)
        + to_microseconds(ops.microseconds_of(ops.clock_of(value)))
        - case
            when ops.offset_of(value) = '' then to_minutes(0)
            when ops.offset_of(value) ~ '^[-+](0\d|1[0-5])(:?[0-5]\d)?$' then to_minutes(
                (substr(ops.offset_of(value), 1, 1) || '1')::bigint * (
                    substr(ops.offset_of(value), 2, 2)::bigint * 60
                    + coalesce(try_cast(right(ops.offset_of(value), 2) as bigint), 0)
                        * (length(ops.offset_of(value)) > 3)::bigint
                )
            )
        end
end;

-- A date, and perhaps a time of day, in figures: year, month and day with hyphens between, as the casts of written dates
-- make them. To DuckDB a space goes before AM and PM, and no hour 0.
create or replace macro ops.written_moment(value) as try_strptime(
    regexp_replace(regexp_replace(value, '(\d) ?([aApP][mM])$', '\1 \2'), ' 00?(:.* [aApP][mM])$', ' 12\1'),
    [
        '%Y-%m-%d', '%Y-%m-%d %H:%M', '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M:%S.%f',
        '%Y-%m-%d %I:%M %p', '%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M:%S.%f %p'
    ]
);
