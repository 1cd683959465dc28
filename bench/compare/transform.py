"""Staging to core, by this project's full refresh and increments and by stock dbt's, on the same rows.

Every variant builds a table of its own in a database of the benchmark's own, from two scratch dbt projects: one with
this repository's macros, one without. Seconds are dbt's for the model alone, without its start.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from bench.compare.scratch_project import Project
from bench.compare.transform_models import our_models, stock_models
from bench.comparison import Comparison, Origin, Run, Timing, Variant, measure_comparison
from bench.environment import temporary_database
from loaders.connection import Address, connect
from loaders.errors import ServerError

# Deliveries 1 and up repeat a tenth of the members of delivery 0; the model changes the balance of some of them.
LANDED = """
    create unlogged table public.landed as
    select
        delivery,
        number,
        member_id,
        mod(member_id, 50)::integer as branch_id,
        'Member ' || md5(member_id::text) as full_name,
        md5(member_id::text) || '@example.com' as email,
        case when mod(member_id, 3) = 0 then 'active' else 'gone' end as status,
        'City ' || mod(member_id, 1000) as city,
        mod(member_id, 10000)::numeric(15, 2) as balance,
        timestamptz '2020-01-01' + member_id * interval '1 minute' as registered_at
    from (
        select 0 as delivery, number, number as member_id from generate_series(1, {rows}::bigint) as number
        union all
        select delivery, number, 1 + mod(number * 10 + delivery, {rows}) as member_id
        from generate_series(1, {increments}) as delivery, generate_series(1, {rows}::bigint / 10) as number
    ) as numbers
"""
NO_DELIVERY = -1


@dataclass(frozen=True)
class Build:
    """A model that a project builds, as one variant; without a delivery it finds nothing new."""

    title: str
    project: Project
    model: str
    origin: Origin = "ours"
    has_delivery: bool = True


@dataclass(frozen=True)
class TransformBenchmark:
    """A database with the landed rows."""

    address: Address
    connection: psycopg.Connection
    rows: int
    say: Callable[[str], None]

    def land(self, increments: int) -> None:
        """Make the rows of the first delivery and of the increments."""
        self.connection.execute(sql.SQL(LANDED).format(rows=self.rows, increments=increments))
        self.connection.execute(
            "create index on public.landed (delivery); create table public.present (delivery integer, changed integer)"
        )
        self.connection.execute("vacuum analyze public.landed")

    def full_refreshes(self, stock: Project, ours: Project, rounds: int) -> list[Comparison]:
        """Build every table, then refresh each once a round."""
        plain = [Build("stock full refresh", stock, "full", "reference"), Build("swap", ours, "swapped")]
        contracts = [
            Build("stock full refresh, contract", stock, "full_contract", "reference"),
            Build("swap, contract", ours, "swapped_contract"),
            Build("in place, contract", ours, "in_place"),
        ]
        title = f"full refresh of {self.rows:,} rows with 3 indexes"
        return [
            self._compare("full refresh", title, plain, rounds, self.rows, "--full-refresh"),
            self._compare(
                "full refresh, contract", f"{title}, contract", contracts, rounds, self.rows, "--full-refresh"
            ),
        ]

    def increments(self, stock: Project, ours: Project, rounds: int, changed: int) -> Comparison:
        """Build every table, then bring each a delivery a round, of which so many percent change."""
        builds = [
            Build("stock delete+insert", stock, "delete_insert", "reference"),
            Build("stock merge", stock, "merged", "reference"),
            Build("upsert", ours, "upserted"),
            Build("upsert, nothing new", ours, "upserted", has_delivery=False),
        ]
        count = self.rows // 10
        title = f"increments of {count:,} rows, {changed} % changed, onto {self.rows:,} with 3 indexes"
        return self._compare(f"increments, {changed} % changed", title, builds, rounds, count, changed=changed)

    def _compare(
        self, name: str, title: str, builds: list[Build], rounds: int, count: int, *arguments: str, changed: int = 0
    ) -> Comparison:
        self._present(0, changed)
        for build in dict.fromkeys(replace(build, title="", has_delivery=True) for build in builds):
            build.project.run(build.model, "--full-refresh")
            # As autovacuum, which stays on, does within the minute.
            self.connection.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier("core", build.model)))
        variants = [
            Variant(
                name=build.title, title=build.title, count=count if build.has_delivery else 0, origin=build.origin,
                measure=partial(self._measure, build, arguments, changed),
            )
            for build in builds
        ]  # fmt: skip
        found = measure_comparison(name, title, "records", variants, rounds, self.say)
        timings = (self._with_table(one, build) for one, build in zip(found.timings, builds, strict=True))
        return replace(found, timings=tuple(timings))

    def _present(self, delivery: int, changed: int) -> None:
        self.connection.execute("truncate public.present")
        self.connection.execute("insert into public.present values (%s, %s)", [delivery, changed])

    def _measure(self, build: Build, arguments: tuple[str, ...], changed: int, turn: int) -> Run:
        self._present(turn + 1 if build.has_delivery else NO_DELIVERY, changed)
        self.connection.execute("checkpoint")
        position = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        before = self._number(position)
        with reading(self.address, build.model) as waits:
            seconds = build.project.run(build.model, *arguments)
        written = self._number(position) - before
        dead = self._number("select pg_stat_get_dead_tuples(%s::regclass)", f"core.{build.model}")
        return Run(seconds=seconds, wal_bytes=written, reader_wait_seconds=max(waits, default=0.0), dead_rows=dead)

    def _with_table(self, timing: Timing, build: Build) -> Timing:
        table = f"core.{build.model}"
        return replace(
            timing,
            table_bytes=self._number("select pg_table_size(%s::regclass)", table),
            index_bytes=self._number("select pg_indexes_size(%s::regclass)", table),
        )

    def _number(self, query: str, *arguments: str) -> int:
        row = self.connection.execute(query, arguments).fetchone()
        return int(row[0]) if row else 0


def measure_transform(
    address: Address, *, rows: int, increments: int, changed: Sequence[int], rounds: int, say: Callable[[str], None]
) -> list[Comparison]:
    """Measure in a database of its own, dropped at the end; 0 rounds or increments leave those out.

    `changed` are the percentages of an increment's rows that change, a comparison each.
    """
    with (
        temporary_database(address, "ingot_transform") as own,
        tempfile.TemporaryDirectory(prefix="ingot-") as folder,
        connect(own, application_name="ingot bench") as connection,
    ):
        benchmark = TransformBenchmark(own, connection, rows, say)
        benchmark.land(increments)
        stock = Project(Path(folder, "stock"), own, stock_models(), stock=True)
        ours = Project(Path(folder, "ours"), own, our_models(), stock=False)
        comparisons = benchmark.full_refreshes(stock, ours, rounds) if rounds else []
        return comparisons + [benchmark.increments(stock, ours, increments, one) for one in changed if increments]


@contextmanager
def reading(address: Address, model: str) -> Iterator[list[float]]:
    """Read a row of the table in a thread, a hundred times a second at most; yield the list of its waits, seconds.

    More often would take half a core from what is measured.
    """
    waits: list[float] = []
    stop = threading.Event()

    def read() -> None:
        # A lost server is told by dbt.
        with suppress(psycopg.Error, ServerError), connect(address, application_name="ingot bench reader") as reader:
            while not stop.wait(0.01):
                began = time.monotonic()
                reader.execute(f"select 1 from core.{model} limit 1")
                waits.append(time.monotonic() - began)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()
