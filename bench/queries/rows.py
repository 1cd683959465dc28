"""What a measured query looks like: its rounds, each kept whole, and the medians that tables and plots show."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.comparison import Spread


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Who was busy during a round, in cores of processor time, and what the server did meanwhile.

    `server_cores` and `machine_cores` (all processes together) are None where the server is on another machine.
    `waits` has the share of samples in which the connections' sessions were running a query ("running"), waited for the
    client ("Client:ClientRead") or for something else ("Lock:relation"). `database` and `io` are what pg_stat_database
    and pg_stat_io (None before PostgreSQL 16) counted in the round.
    """

    cores: float
    client_cores: float
    server_cores: float | None
    machine_cores: float | None
    samples: int
    waits: dict[str, float]
    database: dict[str, int]
    io: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class Second:
    """The queries that were due in one second of a round: answers, and their latencies in ms (None: too few)."""

    answers: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a row: answers, seconds from the first query's start to the last one's end, latencies in ms.

    `qps` counts the answers up to the first moment at which a connection had no more to do; None where that is less
    than half a second. `percentiles` counts from the time at which a query was due: in a closed loop from its sending;
    in an open one the unsent ones are in it with the time that they had waited. `service` is from sending to answer and
    `lag` from due to sending, in an open loop only. A percentile needs 10 answers beyond it, or is left out.
    `series` has the answers of each full second. `overhead_us` is the client's processor time a query. `anchor_qps` is
    the rate of the anchor query on the same connections, measured just before and just after.
    """

    done: int
    seconds: float
    qps: float | None
    mean_ms: float | None
    max_ms: float | None
    percentiles: dict[str, float] = field(default_factory=dict)
    service: dict[str, float] | None = None
    lag: dict[str, float] | None = None
    series: list[int] = field(default_factory=list)
    timeline: list[Second] = field(default_factory=list)
    errors: int = 0
    first_error: str | None = None
    overhead_us: float | None = None
    late: int | None = None
    unsent: int | None = None
    was_cut: bool = False
    anchor_qps: float | None = None
    limit: Limit | None = None

    @property
    def p50_ms(self) -> float | None:
        """The median latency."""
        return self.percentiles.get("50")

    @property
    def p95_ms(self) -> float | None:
        """The latency that 95 of 100 answers do not exceed."""
        return self.percentiles.get("95")

    @property
    def p99_ms(self) -> float | None:
        """The latency that 99 of 100 answers do not exceed."""
        return self.percentiles.get("99")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One query (or the total of a mix), how many were asked for a round (None: as time allows), and its rounds.

    Its figures are medians of the rounds that have them, but the longest of all for `max_ms` and sums for counts.
    """

    query: str
    question: str
    layer: str
    n: int | None
    rounds: tuple[Round, ...]

    @property
    def title(self) -> str:
        """The query and how many were asked for."""
        return self.query if self.n is None else f"{self.query}, n = {self.n:,}"

    def spread(self, figure: str) -> Spread | None:
        """Return the median and range of a figure of the rounds, by its name; None where no round has it."""
        values = [value for one in self.rounds if (value := getattr(one, figure)) is not None]
        return Spread.of(values) if values else None

    def _median(self, figure: str) -> float | None:
        spread = self.spread(figure)
        return None if spread is None else spread.median

    @property
    def middle(self) -> Round:
        """The round whose rate, or else time, is the (lower) median."""
        return sorted(self.rounds, key=lambda one: (one.qps or 0.0, -one.seconds))[(len(self.rounds) - 1) // 2]

    @property
    def done(self) -> int:
        """Answers of all rounds."""
        return sum(one.done for one in self.rounds)

    @property
    def errors(self) -> int:
        """Failed queries of all rounds."""
        return sum(one.errors for one in self.rounds)

    @property
    def first_error(self) -> str | None:
        """The first failure's words."""
        return next((one.first_error for one in self.rounds if one.first_error), None)

    @property
    def late(self) -> int | None:
        """Queries of all rounds that were sent over 1 ms late, in an open loop."""
        return _sum(one.late for one in self.rounds)

    @property
    def unsent(self) -> int | None:
        """Queries of all rounds that were due and never sent, in an open loop."""
        return _sum(one.unsent for one in self.rounds)

    @property
    def seconds(self) -> float:
        """Seconds of a round, median."""
        return statistics.median(one.seconds for one in self.rounds)

    @property
    def qps(self) -> float | None:
        """Answers a second, median."""
        return self._median("qps")

    @property
    def p50_ms(self) -> float | None:
        """The median latency, median of the rounds."""
        return self._median("p50_ms")

    @property
    def p95_ms(self) -> float | None:
        """The latency that 95 of 100 answers do not exceed, median of the rounds."""
        return self._median("p95_ms")

    @property
    def p99_ms(self) -> float | None:
        """The latency that 99 of 100 answers do not exceed, median of the rounds."""
        return self._median("p99_ms")

    @property
    def max_ms(self) -> float | None:
        """The longest latency of all rounds."""
        return max((one.max_ms for one in self.rounds if one.max_ms is not None), default=None)

    @property
    def overhead_us(self) -> float | None:
        """The client's processor time a query, median."""
        return self._median("overhead_us")

    @property
    def series(self) -> list[int]:
        """Answers of each full second of the middle round."""
        return self.middle.series


def by_layer(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Return, for each question, each layer's row with the most answers, of those that have a rate if any has."""
    found: dict[str, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda row: (row.qps is not None, row.done)):
        found.setdefault(row.question, {})[row.layer] = row
    # In the order of the rows, by which layers are sorted as data flows.
    order = list(dict.fromkeys(row.layer for row in rows))
    return {question: {layer: some[layer] for layer in order if layer in some} for question, some in found.items()}


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
