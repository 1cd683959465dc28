"""Staging to core, by this project's full refresh and increments and by stock dbt's, on the same rows.

Every way builds a table of its own in a database of the benchmark's own, from two scratch dbt projects: one with this
repository's macros, one without. Ways take turns; seconds are dbt's for the model alone, without its start.
"""

import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from dbt.cli.main import dbtRunner
from psycopg import sql
from rich.table import Table

from bench.compare.loading import temporary_database
from bench.compare.scratch_project import write_scratch_project
from bench.errors import ToolError
from bench.queries.report import circumstances
from loaders.connection import Address, connect

STOCK_FULL, STOCK_CONTRACT = "stock full refresh", "stock full refresh, contract"
RELINK, RELINK_CONTRACT, IN_PLACE = "relink", "relink, contract", "in place, contract"
DELETE_INSERT, MERGE, UPSERT, NOTHING_NEW = "stock delete+insert", "stock merge", "upsert", "upsert, nothing new"
# What a ratio is taken to: the stock way of the same job.
COMPARED_WITH = {
    RELINK: STOCK_FULL,
    RELINK_CONTRACT: STOCK_CONTRACT,
    IN_PLACE: STOCK_CONTRACT,
    MERGE: DELETE_INSERT,
    UPSERT: DELETE_INSERT,
    NOTHING_NEW: DELETE_INSERT,
}
COLUMNS = {
    "member_id": "bigint",
    "branch_id": "integer",
    "full_name": "text",
    "email": "text",
    "status": "text",
    "city": "text",
    "balance": "numeric(15,2)",
    "registered_at": "timestamptz",
    "_inserted_at": "timestamptz",
    "_updated_at": "timestamptz",
}
MODEL = """
{{{{ config(
    materialized='incremental', incremental_strategy='{strategy}', unique_key='member_id', on_schema_change='fail',
    contract={{'enforced': {contract}}}, meta={{'full_refresh_mode': '{mode}'}},
    indexes=[
        {{'columns': ['member_id'], 'unique': true}}, {{'columns': ['branch_id']}}, {{'columns': ['registered_at']}},
    ],
) }}}}
select
    member_id, branch_id, full_name, email, status, city, balance, registered_at,
    current_timestamp as _inserted_at, current_timestamp as _updated_at
from public.landed
where delivery = {{{{ '(select delivery from public.present)' if is_incremental() else 0 }}}}
"""
# Deliveries 1 and up repeat a tenth of the members of delivery 0; one in twenty has another balance.
LANDED = """
    create unlogged table public.landed as
    select
        delivery,
        member_id,
        mod(member_id, 50)::integer as branch_id,
        'Member ' || md5(member_id::text) as full_name,
        md5(member_id::text) || '@example.com' as email,
        case when mod(member_id, 3) = 0 then 'active' else 'gone' end as status,
        'City ' || mod(member_id, 1000) as city,
        (mod(member_id, 10000) + case when mod(number, 20) = 0 then delivery else 0 end)::numeric(15, 2) as balance,
        timestamptz '2020-01-01' + member_id * interval '1 minute' as registered_at
    from (
        select 0 as delivery, number, number as member_id from generate_series(1, {rows}::bigint) as number
        union all
        select delivery, number, 1 + mod(number * 10 + delivery, {rows}) as member_id
        from generate_series(1, {increments}) as delivery, generate_series(1, {rows}::bigint / 10) as number
    ) as numbers
"""


@dataclass(frozen=True)
class Cost:
    """What one run of dbt cost: its seconds, the server's WAL, the longest that a reader waited."""

    seconds: float
    wal_bytes: int
    reader_wait_seconds: float


@dataclass(frozen=True)
class Way:
    """One way to build: its runs, records a run, and what its table is like after the last."""

    name: str
    records: int
    costs: tuple[Cost, ...]
    table_bytes: int
    index_bytes: int
    dead_rows: int

    @property
    def seconds(self) -> float:
        """The median of the runs."""
        return statistics.median(cost.seconds for cost in self.costs)

    @property
    def wal_bytes(self) -> float:
        """The median of the runs."""
        return statistics.median(cost.wal_bytes for cost in self.costs)

    @property
    def reader_wait_seconds(self) -> float:
        """The longest of all runs."""
        return max(cost.reader_wait_seconds for cost in self.costs)


class Project:
    """A scratch dbt project, parsed once, whose models are run one at a time."""

    def __init__(self, folder: Path, address: Address, models: Mapping[str, str], *, stock: bool) -> None:
        self.folder = folder
        self.address = address
        write_scratch_project(folder, models, stock=stock)
        self.manifest = None
        self.manifest = self._invoke("parse").result

    def run(self, model: str, *arguments: str) -> float:
        """Build one model and return the seconds that it took; ToolError carries dbt's words."""
        [result] = self._invoke("run", "--select", model, *arguments).result.results
        return float(result.execution_time)

    def _invoke(self, *arguments: str) -> Any:
        folder = str(self.folder)
        options = ["--project-dir", folder, "--profiles-dir", folder, "--target-path", f"{folder}/target"]
        said: list[str] = []
        with mock.patch.dict(os.environ, self.address.environment), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own dependencies
            runner = dbtRunner(manifest=self.manifest, callbacks=[lambda event: said.append(str(event.info))])
            done = runner.invoke(["--quiet", "--log-path", f"{folder}/logs", *arguments, *options])
        if not done.success:
            raise ToolError(f"dbt {' '.join(arguments)} failed: {' '.join(said)[-600:]} {done.exception or ''}")
        return done


class TransformBenchmark:
    """The two projects and their landed rows in one database."""

    def __init__(self, address: Address, folder: Path, *, rows: int, increments: int) -> None:
        self.address = address
        self.rows = rows
        self.increments = increments
        self.connection = connect(address, application_name="ingot bench")
        self.connection.execute(sql.SQL(LANDED).format(rows=rows, increments=increments))
        self.connection.execute(
            "create index on public.landed (delivery); create table public.present (delivery integer)"
        )
        self.connection.execute("vacuum analyze public.landed")
        self.stock = Project(folder / "stock", address, stock_models(), stock=True)
        self.ours = Project(folder / "ours", address, our_models(), stock=False)

    def full_refreshes(self, rounds: int) -> list[Way]:
        """Build every table, then refresh each once a round."""
        turns = {
            STOCK_FULL: (self.stock, "full"),
            RELINK: (self.ours, "relinked"),
            STOCK_CONTRACT: (self.stock, "full_contract"),
            RELINK_CONTRACT: (self.ours, "relinked_contract"),
            IN_PLACE: (self.ours, "in_place"),
        }
        return self._ways(turns, rounds, self.rows, "--full-refresh")

    def increment_runs(self) -> list[Way]:
        """Build every table, then bring each a delivery a round; last, an increment without one."""
        turns = {
            DELETE_INSERT: (self.stock, "delete_insert"),
            MERGE: (self.stock, "merged"),
            UPSERT: (self.ours, "upserted"),
        }
        ways = self._ways(turns, self.increments, self.rows // 10)
        self._present(-1)
        costs = tuple(self._measured(self.ours, "upserted") for _ in range(3))
        return [*ways, self._way(NOTHING_NEW, 0, "upserted", costs)]

    def _ways(self, turns: Mapping[str, tuple[Project, str]], rounds: int, records: int, *arguments: str) -> list[Way]:
        for project, model in turns.values():
            project.run(model)
            table = sql.Identifier("core", model)
            # As autovacuum does within the minute; a later one would hide what a way leaves behind.
            self.connection.execute(sql.SQL("vacuum analyze {}").format(table))
            self.connection.execute(sql.SQL("alter table {} set (autovacuum_enabled = off)").format(table))
        costs: dict[str, list[Cost]] = {name: [] for name in turns}
        for turn in range(1, rounds + 1):
            self._present(turn)
            for name, (project, model) in turns.items():
                costs[name].append(self._measured(project, model, *arguments))
        return [self._way(name, records, model, tuple(costs[name])) for name, (_, model) in turns.items()]

    def _present(self, delivery: int) -> None:
        self.connection.execute("truncate public.present")
        self.connection.execute("insert into public.present values (%s)", [delivery])
        self.connection.execute("checkpoint")

    def _measured(self, project: Project, model: str, *arguments: str) -> Cost:
        position = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        before = self._number(position)
        with reading(self.address, model) as waits:
            seconds = project.run(model, *arguments)
        return Cost(seconds, self._number(position) - before, max(waits, default=0.0))

    def _way(self, name: str, records: int, model: str, costs: tuple[Cost, ...]) -> Way:
        table = f"core.{model}"
        return Way(
            name, records, costs,
            self._number("select pg_table_size(%s::regclass)", table),
            self._number("select pg_indexes_size(%s::regclass)", table),
            self._number("select pg_stat_get_dead_tuples(%s::regclass)", table),
        )  # fmt: skip

    def _number(self, query: str, *arguments: str) -> int:
        row = self.connection.execute(query, arguments).fetchone()
        return int(row[0]) if row else 0


def stock_models() -> dict[str, str]:
    """Return the files of the project without this repository's macros."""
    models = {
        "full.sql": _model(contract=False),
        "full_contract.sql": _model(contract=True),
        "delete_insert.sql": _model(contract=True),
        "merged.sql": _model(contract=True, strategy="merge"),
    }
    return models | {"models.yml": _contract(models)}


def our_models() -> dict[str, str]:
    """Return the files of the project with this repository's macros."""
    models = {
        "relinked.sql": _model(contract=False),
        "relinked_contract.sql": _model(contract=True),
        "in_place.sql": _model(contract=True, mode="in_place"),
        "upserted.sql": _model(contract=True, strategy="upsert"),
    }
    return models | {"models.yml": _contract(models)}


@contextmanager
def reading(address: Address, model: str) -> Iterator[list[float]]:
    """Ask the table for a row in a thread, a hundred times a second at most; yield the list of its waits, seconds.

    More often would take half a core from what is measured.
    """
    waits: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with connect(address, application_name="ingot bench reader") as connection:
            while not stop.wait(0.01):
                began = time.monotonic()
                connection.execute(f"select 1 from core.{model} limit 1")
                waits.append(time.monotonic() - began)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()


def run_transform(address: Address, *, rows: int, increments: int, rounds: int) -> list[Way]:
    """Measure every way in a database of its own, dropped at the end; 0 rounds or increments leave those out."""
    with temporary_database(address, "ingot_transform") as own, tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        benchmark = TransformBenchmark(own, Path(folder), rows=rows, increments=increments)
        with benchmark.connection:
            refreshes = benchmark.full_refreshes(rounds) if rounds else []
            return [*refreshes, *(benchmark.increment_runs() if increments else [])]


def ratio(way: Way, ways: Sequence[Way]) -> float | None:
    """Return the way's seconds in units of the stock way of the same job, or None for a stock way."""
    stock = COMPARED_WITH.get(way.name)
    return way.seconds / next(one.seconds for one in ways if one.name == stock) if stock else None


def transform_table(ways: Sequence[Way], rows: int) -> Table:
    """Return the table of ways: medians of the runs, the longest wait of a reader, the table's state after the last."""
    table = Table(title=f"staging to core, {rows:,} rows with 3 indexes")
    table.add_column("way")
    for heading in (
        "runs",
        "seconds",
        "ratio",
        "records/s",
        "WAL MB",
        "reader wait s",
        "dead rows",
        "table MB",
        "index MB",
    ):
        table.add_column(heading, justify="right")
    for way in ways:
        share = ratio(way, ways)
        table.add_row(
            way.name, f"{len(way.costs)}", f"{way.seconds:.2f}", "" if share is None else f"{share:.2f}",
            f"{way.records / way.seconds:,.0f}", f"{way.wal_bytes / 1e6:,.0f}", f"{way.reader_wait_seconds:.3f}",
            f"{way.dead_rows:,}", f"{way.table_bytes / 1e6:,.0f}", f"{way.index_bytes / 1e6:,.0f}",
        )  # fmt: skip
    return table


def transform_figures(ways: Sequence[Way], address: Address, rows: int) -> dict[str, Any]:
    """Return everything as JSON's types: the circumstances, every run, medians and ratios."""
    return {
        **circumstances(address),
        "rows": rows,
        "ways": [
            asdict(way)
            | {"seconds": way.seconds, "wal_bytes": way.wal_bytes, "ratio": ratio(way, ways)}
            | {"reader_wait_seconds": way.reader_wait_seconds}
            for way in ways
        ],
    }


def _model(*, contract: bool, strategy: str = "delete+insert", mode: str = "relink") -> str:
    return MODEL.format(strategy=strategy, contract=str(contract).lower(), mode=mode)


def _contract(models: Mapping[str, str]) -> str:
    columns = "".join(f"\n      - {{name: {name}, data_type: '{kind}'}}" for name, kind in COLUMNS.items())
    listed = "".join(f"\n  - name: {name.removesuffix('.sql')}\n    columns:{columns}" for name in models)
    return f"models:{listed}\n"
