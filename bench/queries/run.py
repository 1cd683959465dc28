"""How queries are run, and which: the options of a run, a query or a mix of several."""

import random
from dataclasses import dataclass
from itertools import repeat
from math import gcd

from bench.cores import usable_cores
from bench.errors import UnknownQuery
from bench.queries.benchmarks import Arguments, Benchmark
from bench.queries.drivers import DRIVERS
from loaders.connection import Address


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run queries: where, by which driver, over how many connections, for how long, with which seed.

    A closed loop that is limited by time alone goes on until it has enough answers, for `most_seconds` at most (None:
    it does not); for as long are answers fetched that layers are compared by. `rate` (queries a second, of all
    connections) makes it an open loop. `warm_up` is in seconds (None: a few queries each), `timeout` the seconds after
    which a query fails, `processes` None is one a core, `pipeline` the queries a sync of a driver in pipeline mode.
    `anchor_seconds` of the anchor query are run beside each row (0: none); `is_observed` says whether the processors
    and the server are watched meanwhile.
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
    most_seconds: float | None = None
    timeout: float = 60
    anchor_seconds: float = 0
    is_observed: bool = False

    @property
    def process_count(self) -> int:
        """The number of processes: as asked for or one a usable core, with at least one connection each."""
        return min(self.connections, self.processes or max(1, int(usable_cores())))

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

    @property
    def name(self) -> str:
        """The query's name, or names and weights as --mix takes them."""
        if len(self.benchmarks) == 1:
            return self.benchmarks[0].name
        named = zip(self.benchmarks, self.weights, strict=True)
        return ",".join(f"{benchmark.name}={weight}" for benchmark, weight in named)

    def draws(self, count: int, source: random.Random) -> list[tuple[int, Arguments]]:
        """Draw `count` queries, by their numbers, and arguments for each; each block of the weights' sum is exact."""
        if len(self.benchmarks) == 1:
            return [(0, arguments) for arguments in self.benchmarks[0].draws(count, source)]
        common = gcd(*self.weights)
        block = [number for number, weight in enumerate(self.weights) for _ in repeat(None, weight // common)]
        numbers: list[int] = []
        while len(numbers) < count:
            source.shuffle(block)
            numbers += block
        return [(number, self.benchmarks[number].draws(1, source)[0]) for number in numbers[:count]]


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
