-- The ledger, version 3. loaders/ledger_version.py creates what of it is missing; dbt reads it, and writes
-- ops.applied_loads only. A raw table is known by table_schema and table_name.

-- Asked first: `if not exists` needs the right to create schemas even where the schema exists.
do $$
begin
    if to_regnamespace('ops') is null then
        create schema ops;
    end if;
end
$$;

create table if not exists ops.ledger_version (version integer not null);
comment on table ops.ledger_version is 'One row: the version of these tables.';
insert into ops.ledger_version (version)
select 3
where not exists (select from ops.ledger_version);

-- A segment is a block of load ids, and the partition of a raw table that holds their rows. So load ids are unique over
-- all tables, and rise within a table.
create sequence if not exists ops.load_blocks as integer increment 10000;

create table if not exists ops.segments (
    table_schema text not null,
    table_name text not null,
    first_load_id integer not null,
    end_load_id integer not null,
    relation_name text not null,
    next_load_id integer not null,
    created_at timestamptz not null default now(),
    retired_xid xid8,
    primary key (table_schema, table_name, first_load_id)
);
comment on table ops.segments is
'One row per partition of a raw table; its loads have ids from first_load_id to before end_load_id. retired_xid is the transaction that discarded all of them: the partition is dropped when no snapshot is older.';

create table if not exists ops.loads (
    load_id integer primary key,
    table_schema text not null,
    table_name text not null,
    status text not null default 'started' check (status in ('started', 'complete', 'failed', 'discarded', 'pruned')),
    full_refresh boolean not null default false,
    replaces boolean not null default false,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    files integer not null,
    bytes bigint not null,
    records bigint,
    rejected bigint,
    columns_added text[],
    columns_missing text[],
    error text,
    loader text not null
);
comment on table ops.loads is
'One row per load: one batch of files into one raw table. Those of a full refresh become complete together. Of a pruned one the rows are gone, and its files stay claimed.';
comment on column ops.loads.replaces is
'Whether it took rows of earlier loads away: a model that applies it has to compare all of its rows.';
comment on column ops.loads.columns_missing is 'Columns of the raw table that some of its files lack: NULL there.';
-- Every query of a staging view asks for the loads that are not complete: few.
create index if not exists loads_not_complete on ops.loads (table_schema, table_name, load_id) where status <> 'complete';

create table if not exists ops.files (
    file_id integer generated always as identity primary key,
    load_id integer not null references ops.loads,
    table_schema text not null,
    table_name text not null,
    path text not null,
    hive_keys jsonb not null,
    bytes bigint not null,
    modified_ns bigint not null,
    digest text not null,
    first_load_id integer not null,
    replaced_file_id integer,
    refreshing boolean not null default false,
    records bigint,
    rejected bigint,
    rewritten bigint,
    error text,
    released_at timestamptz
);
comment on table ops.files is
'One row per file of a load; released_at is set when it, or its load, failed or was discarded.';
comment on column ops.files.first_load_id is
'The load in which this content with these hive keys was delivered first: a full refresh keeps it, the load id it changes.';
comment on column ops.files.replaced_file_id is
'The file whose content stood at this path in between, where the same content was delivered before.';
comment on column ops.files.rewritten is 'Records among those landed whose quotes COPY would have misread.';
comment on column ops.files.refreshing is 'Whether its load belongs to a full refresh that is not whole yet.';
-- The claim: one content with the same hive keys lands in one table once, and once more after another content of its path.
create unique index if not exists files_claimed on ops.files (
    table_schema, table_name, digest, hive_keys, coalesce(replaced_file_id, 0)
) where released_at is null and not refreshing;
create index if not exists files_of_load on ops.files (load_id);
-- What a claim asks: whether this content was landed before, and what its path's last content was. By hash, because a
-- path may be longer than a B-tree's entry.
create index if not exists files_of_content on ops.files using hash (digest);
create index if not exists files_of_path on ops.files using hash (path);

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
comment on table ops.applied_loads is
'One row per load that a dbt model has read, by the model''s quoted schema and name; dbt writes it.';

-- By the catalog, and not by to_regclass: a loader may lack the right to use the models' schemas.
create or replace view ops.models_of_loads as
with

models as (
    select distinct
        loads.table_schema,
        loads.table_name,
        applied.model
    from ops.applied_loads as applied
    inner join ops.loads on applied.load_id = loads.load_id
    where exists (
        select from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where format('%I.%I', pg_namespace.nspname, pg_class.relname) = applied.model
    )
)

select
    loads.table_schema,
    loads.table_name,
    loads.load_id,
    models.model,
    exists (
        select from ops.applied_loads as applied
        where applied.model = models.model and applied.load_id = loads.load_id
    ) as is_applied
from ops.loads
inner join models on loads.table_schema = models.table_schema and loads.table_name = models.table_name
where loads.status = 'complete';
comment on view ops.models_of_loads is
'One row per complete load and model that has read loads of its table and exists: whether it has applied this one.';

-- What has landed of a load so far; monitoring asks it of those that are running.
create or replace function ops.count_landed(load_id integer)
returns bigint language plpgsql stable as $$
declare
    landed bigint;
begin
    execute (
        select format('select count(*) from %I.%I where _load_id = %s', table_schema, table_name, loads.load_id)
        from ops.loads
        where loads.load_id = count_landed.load_id
    ) into landed;
    return landed;
end
$$;

-- The cast of PostgreSQL 15, where only a caught exception tells that a value is no valid input. Parallel unsafe, as is
-- the default: a caught exception is a subtransaction, which parallel workers cannot start.
create or replace function ops.try_cast(value text, result anyelement)
returns anyelement language plpgsql stable as $$
begin
    result := value;
    return result;
exception when data_exception then
    return null;
end
$$;
