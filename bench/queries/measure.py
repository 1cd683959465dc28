"""Time queries over C connections in alternating rounds, on connections that are opened and warmed up beforehand."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace

from bench.errors import QueryFailed
from bench.queries.benchmarks import Benchmark
from bench.queries.latency import LEAST_RATE_SECONDS
from bench.queries.limit import Observer
from bench.queries.process import Task
from bench.queries.processes import Processes
from bench.queries.rows import Round, Row
from bench.queries.run import Mix, Run

TOTAL = "total"
# A slow query is asked until there are as many answers, of all connections or of each, whichever is more.
ENOUGH, ENOUGH_EACH = 200, 20
# The same work on every machine, some of it the client's, some the server's: what it answers is the machine's speed.
ANCHOR = Benchmark("anchor", "anchor", "anchor", "select count(*) from generate_series(1, 1000)", ())
# What the anchor said a moment ago still holds: rows of milliseconds share it.
FRESH_SECONDS = 2
# It reads a table, because sessions that have read none keep their counts of transactions to themselves.
REPORT = Benchmark("report", "report", "report", "select pg_stat_force_next_flush() from pg_database limit 1", ())


def measure(benchmark: Benchmark, counts: Sequence[int | None], run: Run) -> list[Row]:
    """Time one query once, a row a count."""
    return measure_mixes([Mix.of(benchmark)], counts, run)


def measure_mixes(mixes: Sequence[Mix], counts: Sequence[int | None], run: Run, rounds: int = 1) -> list[Row]:
    """Time mixes in alternating rounds, each beginning with another one.

    Return, for each mix and count, a row a query and, where there are several queries, one of all together.
    """
    found: dict[tuple[int, int], list[list[Round]]] = {}
    with Bench(mixes, run) as bench:
        for turn in range(rounds):
            for number in [*range(turn % len(mixes), len(mixes)), *range(turn % len(mixes))]:
                for at, some in enumerate(bench.measure(number, counts, turn)):
                    found.setdefault((number, at), []).append(some)
    rows: list[Row] = []
    for number, mix in enumerate(mixes):
        for at, count in enumerate(counts):
            rows += rows_of(mix, count, found[number, at])
    return rows


class Bench:
    """Open processes, with an anchor beside the mixes, and what watches them.

    `began_ns` is when the last task of the mixes began, by the machine's clock.
    """

    def __init__(self, mixes: Sequence[Mix], run: Run) -> None:
        """Say what is to be measured; the connections open with the block."""
        self.run, self.began_ns = run, 0
        self._anchor, self._report = len(mixes), len(mixes) + 1
        self.processes = Processes([*mixes, Mix.of(ANCHOR), Mix.of(REPORT)], run)
        self._observer: Observer | None = None
        self._anchored: tuple[float, float | None] = (-math.inf, None)

    def __enter__(self) -> "Bench":
        self._observer = Observer(self.run.address) if self.run.is_observed else None
        self.processes.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        with closing(self._observer) if self._observer else nullcontext():
            self.processes.__exit__(*error)  # type: ignore[arg-type]

    def measure(self, number: int, counts: Sequence[int | None], turn: int) -> Iterator[list[Round]]:
        """Measure a mix, by its number, in one round: for each count its queries' and their total's figures."""
        seed = f"{self.run.seed} {turn}"
        self.settle(number, seed)
        before = self.anchor(seed)
        for count in counts:
            task = self.task(number, seed, count=count)
            rounds = self.run_task(task)
            after = self.anchor(seed)
            known = [rate for rate in (before, after) if rate is not None]
            was_cut = count is None and self.run.rate is None and rounds[-1].done < self.enough
            yield [
                replace(one, anchor_qps=sum(known) / len(known) if known else None, was_cut=was_cut) for one in rounds
            ]
            before = after

    @property
    def enough(self) -> int:
        """How many answers a slow query is asked for."""
        return max(ENOUGH, ENOUGH_EACH * self.run.connections)

    def task(self, number: int, seed: str, *, count: int | None = None, seconds: float | None = None) -> Task:
        """Return the task of one mix; one that is limited by time alone goes on until it has enough answers."""
        run = self.run
        known = Task(mix=number, count=count, seconds=seconds or run.seconds, seed=seed, rate=run.rate)
        if count is not None or run.rate is not None or run.most_seconds is None:
            return replace(known, most_seconds=known.seconds)
        each = -(-self.enough // run.connections)
        return replace(known, least=each, most_seconds=max(run.most_seconds, known.seconds))

    def settle(self, number: int, seed: str) -> None:
        """Run each query of a mix a few times, and then, for the time of the warm-up, the same load as measured."""
        warm_up = replace(self.task(number, f"{seed} warm-up", count=None if self.run.warm_up else 1), warms=True)
        self.processes.prepare(warm_up)
        if self.run.warm_up:
            short = replace(warm_up, seconds=self.run.warm_up, least=0, most_seconds=self.run.warm_up)
            began, ended = self.processes.start(short)
            self.processes.rounds(short, began, ended)

    def anchor(self, seed: str) -> float | None:
        """Return the anchor's answers a second, in a closed loop, as just measured; None where it is not to be run."""
        when, rate = self._anchored
        if not self.run.anchor_seconds or time.monotonic() - when < FRESH_SECONDS:
            return rate
        seconds = max(self.run.anchor_seconds, LEAST_RATE_SECONDS)
        task = Task(mix=self._anchor, count=None, seconds=seconds, seed=seed, most_seconds=seconds)
        rate = self.run_task(task, is_observed=False)[-1].qps
        self._anchored = time.monotonic(), rate
        return rate

    def run_task(self, task: Task, *, is_observed: bool = True, with_timeline: bool = False) -> list[Round]:
        """Run a task, watched where the run says so."""
        observer = self._observer if is_observed else None
        if observer is None:
            self.processes.prepare(task)
            began, ended = self.processes.start(task)
            self.began_ns = began
            return self.processes.rounds(task, began, ended, with_timeline=with_timeline)
        self._report_counters()
        self.processes.prepare(task)
        observer.begin()
        began, ended = self.processes.start(task)
        observer.pause()
        rounds = self.processes.rounds(task, began, ended, with_timeline=with_timeline)
        self._report_counters()
        self.began_ns = began
        limit = observer.end(sum(one.processor_ns for one in ended) / 1e9)
        return [*rounds[:-1], replace(rounds[-1], limit=limit if rounds[-1].seconds >= LEAST_RATE_SECONDS else None)]

    def _report_counters(self) -> None:
        """Let the server's sessions report what they have counted, which they else do once a second at most."""
        self.run_task(
            Task(mix=self._report, count=self.run.connections, seconds=1, seed="", most_seconds=1), is_observed=False
        )


def check_errors(rows: Sequence[Row]) -> None:
    """Raise QueryFailed if any measured query failed, with the first failure's words."""
    failed = [row for row in rows if row.errors]
    if failed:
        raise QueryFailed(
            f"{sum(row.errors for row in failed):,} queries failed, first in {failed[0].query}: "
            f"{failed[0].first_error} The rates count answered queries only; look into the server's log."
        )


def rows_of(mix: Mix, count: int | None, rounds: Sequence[Sequence[Round]]) -> list[Row]:
    """Return the rows of a mix, by query and all together, from the figures of each round."""
    benchmarks = list(mix.benchmarks)
    if len(benchmarks) > 1:
        benchmarks.append(Benchmark(TOTAL, "mix", "mix", "", ()))
    return [
        Row(
            query=one.name, question=one.question, layer=one.layer, rounds=tuple(some),
            n=count if len(benchmarks) == 1 or one.name == TOTAL else None,
        )
        for one, some in zip(benchmarks, zip(*rounds, strict=True), strict=True)
    ]  # fmt: skip
