-- From the ledger's version 1 to 2: what version 1 has changes here, then ledger.sql creates what it lacks. Version 1 knew
-- a raw table by its name only, and its unlogged raw tables by an epoch.

-- What a crash had emptied lands again.
update ops.files set released_at = now()
where released_at is null and load_id in (select load_id from ops.lost_loads);
update ops.loads set
    status = 'discarded',
    finished_at = clock_timestamp(),
    error = 'lost in a crash of the server: its table was unlogged'
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

alter table ops.loads
alter load_id drop identity,
drop epoch,
add table_schema text,
add full_refresh boolean not null default false,
add replaces boolean not null default false,
add columns_added text[],
add columns_missing text[];
drop index ops.loads_not_complete;

alter table ops.files
add table_schema text,
add first_load_id integer,
add replaced_file_id integer,
add refreshing boolean not null default false,
add rewritten bigint,
add error text;
drop index ops.files_claimed;
-- By the load, because that is the order that core was built in. What failed has landed nothing.
update ops.files set
    first_load_id = loads.load_id,
    records = case when status <> 'failed' then files.records end,
    rejected = case when status <> 'failed' then files.rejected end
from ops.loads
where files.load_id = loads.load_id;
alter table ops.files alter first_load_id set not null;

-- A model is named as format('%I.%I') quotes it.
update ops.applied_loads set
    model = format('%I.%I', split_part(model, '.', 1), substr(model, strpos(model, '.') + 1));
