"""Pruned loads landed again from bronze: each by a load that takes its place, with its order and its readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from loaders.bronze import BronzeFile, BronzeRoot
from loaders.errors import FileError, LoadError
from loaders.landing_file import LandingFile
from loaders.ledger import Claim
from loaders.ledger_files import Content, count_files
from loaders.locks import unlock_load
from loaders.raw_table import RawTable


@dataclass(frozen=True, kw_only=True)
class PrunedLoad:
    """A load whose rows are gone: what its files held, by path; of none more than `rejected` records were refused."""

    load_id: int
    contents: Mapping[str, Content]
    rejected: int

    def find_files(self, root: BronzeRoot) -> list[BronzeFile]:
        """Return its files as they are in bronze now; FileError for one that cannot be read."""
        return [root.find_file(path) for path in sorted(self.contents)]

    def check_unchanged(self, files: Sequence[LandingFile]) -> None:
        """Raise FileError if a file has another content than the one that was landed."""
        for file in files:
            if file.file.content != self.contents[file.path]:
                raise FileError(
                    f"{file.path} has another content than load {self.load_id} landed. Put that back, or land what "
                    "bronze holds now: `python -m loaders load --full-refresh`."
                )


def pruned_loads(connection: psycopg.Connection, table: RawTable, *, since: str | None = None) -> list[PrunedLoad]:
    """Return the table's pruned loads that hold files, those with a file of the run `since` or a later one if given."""
    rows = connection.execute(
        """
        select load_id, array_agg(path), array_agg(digest), array_agg(hive_keys), coalesce(max(rejected), 0)
        from ops.files
        where table_schema = %(schema)s and table_name = %(name)s and released_at is null
            and load_id in (select load_id from ops.loads where status = 'pruned')
        group by load_id
        having %(since)s::text is null or max(coalesce(hive_keys ->> 'run_id', '') collate "C") >= %(since)s
        order by load_id
        """,
        {"schema": table.schema, "name": table.name, "since": since},
    )
    return [
        PrunedLoad(
            load_id=load_id,
            contents={
                path: (digest, frozenset(keys.items()))
                for path, digest, keys in zip(paths, digests, hive_keys, strict=True)
            },
            rejected=rejected,
        )
        for load_id, paths, digests, hive_keys, rejected in rows
    ]


def complete_restore(connection: psycopg.Connection, pruned: PrunedLoad, claim: Claim) -> None:
    """Make a load complete in a pruned one's place: with its order, and applied by the models that applied it."""
    ids = {"new": claim.load_id, "old": pruned.load_id}
    with connection.transaction():
        started = connection.execute(
            "select from ops.loads where load_id = %(new)s and status = 'started' for update", ids
        )
        if started.rowcount != 1:
            raise LoadError(f"load {claim.load_id} was undone by another loader. Load again.")
        count_files(connection, claim.load_id, claim.files)
        connection.execute(
            "update ops.files set released_at = now() where load_id = %(old)s and released_at is null", ids
        )
        connection.execute(
            """
            update ops.files as new set
                refreshing = false, first_load_id = old.first_load_id, replaced_file_id = old.replaced_file_id
            from ops.files as old
            where new.load_id = %(new)s and old.load_id = %(old)s and old.path = new.path
            """,
            ids,
        )
        connection.execute(
            """
            update ops.loads as new set
                status = 'complete', finished_at = clock_timestamp(), full_refresh = false, replaces = old.replaces
            from ops.loads as old
            where new.load_id = %(new)s and old.load_id = %(old)s
            """,
            ids,
        )
        connection.execute(
            "update ops.loads set status = 'discarded', finished_at = clock_timestamp(), "
            "error = 'pruned, then restored as load ' || %(new)s where load_id = %(old)s",
            ids,
        )
        connection.execute("update ops.applied_loads set load_id = %(new)s where load_id = %(old)s", ids)
        connection.execute("delete from ops.rejected_rows where load_id = %(old)s", ids)
    unlock_load(connection, claim.load_id)
