"""How queries are run, and which: the options of a run, a query or a mix of several, the event loop."""

import asyncio
import os
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.errors import UnknownQuery
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import DRIVERS
from loaders.connection import Address

T = TypeVar("T")


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; KeyboardInterrupt on Ctrl-C, after its connections close."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run queries: where, by which driver, over how many connections, for how long at most, with which seed.

    `rate` (queries a second, of all connections) makes it an open loop. `warm_up` is in seconds a connection (None: a
    few queries each), `processes` None is one a core, `pipeline` the queries a sync of a driver in pipeline mode.
    """

    address: Address
    driver: str
    connections: int
    seconds: float
    seed: int
    rate: float | None = None
    warm_up: float | None = None
    processes: int | None = None
    pipeline: int = 50

    @property
    def process_count(self) -> int:
        """The number of processes: as asked for or one a core, with at least one connection each."""
        return min(self.connections, self.processes or os.cpu_count() or 1)

    @property
    def batch(self) -> int:
        """The number of queries a sync."""
        return self.pipeline if DRIVERS[self.driver].is_pipelined else 1


@dataclass(frozen=True)
class Mix:
    """Queries and how often each is drawn, relative to the others; a single query is a mix of one."""

    benchmarks: tuple[Benchmark, ...]
    weights: tuple[int, ...]

    @classmethod
    def of(cls, benchmark: Benchmark) -> "Mix":
        """Return the mix of one query."""
        return cls((benchmark,), (1,))

    @classmethod
    def weighted(cls, benchmarks: Sequence[Benchmark], weights: dict[str, int]) -> "Mix":
        """Return the mix of queries with weights by name."""
        return cls(tuple(benchmarks), tuple(weights[one.name] for one in benchmarks))

    @property
    def name(self) -> str:
        """The query's name, or names and weights as --mix takes them."""
        if len(self.benchmarks) == 1:
            return self.benchmarks[0].name
        named = zip(self.benchmarks, self.weights, strict=True)
        return ",".join(f"{benchmark.name}={weight}" for benchmark, weight in named)

    def draws(self, count: int, source: random.Random) -> list[tuple[int, Arguments]]:
        """Draw `count` queries, by their numbers, and arguments for each."""
        if len(self.benchmarks) == 1:
            return [(0, arguments) for arguments in self.benchmarks[0].draws(count, source)]
        numbers = source.choices(range(len(self.benchmarks)), self.weights, k=count)
        return [(number, self.benchmarks[number].draws(1, source)[0]) for number in numbers]


def read_weights(text: str) -> dict[str, int]:
    """Read NAME=WEIGHT,NAME=WEIGHT ...; UnknownQuery if it cannot be read."""
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, _, weight = (word.strip() for word in part.partition("="))
        if not name or name in weights or not weight.isdecimal() or int(weight) < 1:
            raise UnknownQuery(
                f"{part.strip()!r} in the mix cannot be read: write each query once as NAME=WEIGHT, "
                "with a whole number from 1, and commas between."
            )
        weights[name] = int(weight)
    return weights
