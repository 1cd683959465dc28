-- From the ledger's version 2 to 3, after ledger.sql has created what is new: a load can be pruned.

alter table ops.loads
drop constraint loads_status_check,
add constraint loads_status_check check (status in ('started', 'complete', 'failed', 'discarded', 'pruned'));

update ops.ledger_version set version = 3;
