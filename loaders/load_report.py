"""What a run of the loader is told, and what it says that it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loaders.errors import LoaderError
from loaders.progress import Phase
from loaders.retry import RETRY_SECONDS


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What the command line says of a load; `max_rejects` is per file, `since` the oldest run to `restore`."""

    workers: int = 2
    batch_files: int = 1000
    max_rejects: int = 0
    full_refresh: bool = False
    remove_missing: bool = False
    rewritten: bool = False
    restore: bool = False
    since: str | None = None
    retry_seconds: float = RETRY_SECONDS


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """A load that has landed: files, stored bytes, records, seconds from claim to last commit.

    Of the records that landed, `rewritten` had quotes that COPY would have misread. `phases` are the workers' seconds,
    added up: `read` (files read and cut), `copy` (records sent), `wait` (for the server to begin and to commit).
    """

    source: str
    load_id: int
    files: int
    records: int
    rejected: int
    rewritten: int
    bytes: int
    seconds: float
    phases: Mapping[Phase, float]

    @property
    def records_per_second(self) -> float:
        """Records landed a second."""
        return self.records / self.seconds


@dataclass
class TableReport:
    """What a run did with one source table.

    `changed` are known paths with new content; columns that files `added`, or that are `missing` in them, name the
    first such file; `problems` are the errors of the files and loads that failed. `replaced` and `removed` count files
    whose rows went, `left` old segments that are still to be dropped; `restores`: it lands what was pruned, no more.
    `unfinished` are folders of runs that are not whole yet.
    """

    source: str
    found: int = 0
    loads: list[LoadResult] = field(default_factory=list)
    skipped: int = 0
    pending: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    has_rows: bool = False
    added: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    undone: list[int] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    problems: list[LoaderError] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    left: int = 0
    replaced: int = 0
    removed: int = 0
    restores: bool = False

    def begin_attempt(self) -> None:
        """Forget what the next attempt finds again."""
        self.found = self.skipped = 0
        self.changed.clear()
        self.problems.clear()
