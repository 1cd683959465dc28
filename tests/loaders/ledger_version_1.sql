-- The ledger. loaders/ledger.py creates it where it is missing; dbt reads it, and writes ops.applied_loads only.

create schema if not exists ops;

create table if not exists ops.loads (
    load_id integer generated always as identity primary key,
    table_name text not null,
    status text not null default 'started' check (status in ('started', 'complete', 'failed', 'discarded')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    files integer not null,
    bytes bigint not null,
    records bigint,
    rejected bigint,
    error text,
    loader text not null,
    epoch uuid
);
comment on table ops.loads is 'One row per load: one batch of files into one raw table.';
-- Every query of a staging view asks for the loads that are not complete: few.
create index if not exists loads_not_complete on ops.loads (table_name, load_id) where status <> 'complete';

-- A crash of the server empties every unlogged table, this one too: a load whose epoch is not the one here has lost its
-- rows. The loader puts a new epoch here when it finds none.
create unlogged table if not exists ops.unlogged_epoch (epoch uuid not null);
comment on table ops.unlogged_epoch is 'One row: the time since the last crash of the server, by a random name.';
insert into ops.unlogged_epoch (epoch)
select gen_random_uuid()
where not exists (select from ops.unlogged_epoch);

create or replace view ops.lost_loads as
select *
from ops.loads
where status = 'complete' and epoch is not null and epoch not in (select unlogged_epoch.epoch from ops.unlogged_epoch);
comment on view ops.lost_loads is 'One row per complete load of an unlogged raw table whose rows a crash has emptied.';

create table if not exists ops.files (
    file_id integer generated always as identity primary key,
    load_id integer not null references ops.loads,
    table_name text not null,
    path text not null,
    hive_keys jsonb not null,
    bytes bigint not null,
    modified_ns bigint not null,
    digest text not null,
    records bigint,
    rejected bigint,
    released_at timestamptz
);
comment on table ops.files is 'One row per file of a load; released_at is set when its load failed or was discarded.';
-- The claim: one content lands in one table once.
create unique index if not exists files_claimed on ops.files (table_name, digest) where released_at is null;
create index if not exists files_of_load on ops.files (load_id);

create table if not exists ops.rejected_rows (
    load_id integer not null references ops.loads,
    file_id integer not null references ops.files,
    record_number bigint not null,
    byte_offset bigint not null,
    sqlstate text,
    reason text not null,
    raw bytea not null
);
comment on table ops.rejected_rows is 'One row per record that COPY refused, as it stands in the file.';
create index if not exists rejected_rows_of_load on ops.rejected_rows (load_id);

create table if not exists ops.applied_loads (
    model text not null,
    load_id integer not null,
    applied_at timestamptz not null default now(),
    primary key (model, load_id)
);
comment on table ops.applied_loads is 'One row per load that a dbt model has read; dbt writes it.';
