-- The ledger's tables from version 1 to 2; loaders/ledger_version.py runs it, and then does what depends on the raw
-- tables. Version 1 knew a raw table by its name only, and its unlogged raw tables by an epoch.

create table ops.ledger_version (version integer not null);
comment on table ops.ledger_version is 'One row: the version of these tables.';

-- What a crash had emptied lands again.
update ops.files set released_at = now()
where released_at is null and load_id in (select load_id from ops.lost_loads);
update ops.loads set
    status = 'discarded', finished_at = clock_timestamp(), error = 'lost in a crash of the server: its table was unlogged'
where load_id in (select load_id from ops.lost_loads);
drop view ops.lost_loads;
drop table ops.unlogged_epoch;

do $$
begin
    execute format(
        'create sequence ops.load_blocks as integer increment 10000 start %s',
        (select coalesce(max(load_id), 0) / 10000 * 10000 + 10001 from ops.loads)
    );
end
$$;

create table ops.segments (
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

alter table ops.loads
alter load_id drop identity,
drop epoch,
add table_schema text,
add full_refresh boolean not null default false;
comment on table ops.loads is
'One row per load: one batch of files into one raw table. Those of a full refresh become complete together.';
drop index ops.loads_not_complete;
create index loads_not_complete on ops.loads (table_schema, table_name, load_id) where status <> 'complete';

alter table ops.files
add table_schema text,
add first_load_id integer,
add replaced_file_id integer,
add refreshing boolean not null default false,
add error text;
comment on table ops.files is
'One row per file of a load; released_at is set when it, or its load, failed or was discarded.';
comment on column ops.files.first_load_id is
'The load in which this content with these hive keys was delivered first: a full refresh keeps it, the load id it changes.';
comment on column ops.files.replaced_file_id is
'The file whose content stood at this path in between, where the same content was delivered before.';
comment on column ops.files.refreshing is 'Whether its load belongs to a full refresh that is not whole yet.';
-- By the load, because that is the order that core was built in. What failed has landed nothing.
update ops.files set
    first_load_id = loads.load_id,
    records = case when status <> 'failed' then files.records end,
    rejected = case when status <> 'failed' then files.rejected end
from ops.loads
where files.load_id = loads.load_id;
alter table ops.files alter first_load_id set not null;
drop index ops.files_claimed;
create unique index files_claimed on ops.files (
    table_schema, table_name, digest, hive_keys, coalesce(replaced_file_id, 0)
) where released_at is null and not refreshing;
create index files_of_content on ops.files using hash (digest);
create index files_of_path on ops.files using hash (path);

-- A model is named as format('%I.%I') quotes it.
update ops.applied_loads set
    model = format('%I.%I', split_part(model, '.', 1), substr(model, strpos(model, '.') + 1));
