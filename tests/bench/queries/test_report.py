import pytest

from bench.queries.benchmarks import Benchmark
from bench.queries.latency import Summary
from bench.queries.measure import Row
from bench.queries.report import sparkline
from bench.queries.sentences import load_lines
from bench.queries.worker import Run
from loaders.connection import Address

MART = Benchmark("lookup", "q", "mart", "select 1", ())


def run(rate: float | None) -> Run:
    return Run(address=Address(), driver="libpq", connections=4, seconds=10, seed=1, rate=rate, processes=2)


def row(late: int | None, unsent: int | None) -> Row:
    summary = Summary(900, 10.0, 90.0, 1.0, 2.0, 3.0, 4.0, 0, None, overhead_us=40.0, late=late, unsent=unsent)
    return Row(MART, None, summary)


@pytest.mark.parametrize(
    ("series", "expected"),
    [([], ""), ([0, 0], "  "), ([8, 4, 0], "█▄ "), ([1000, 999, 1], "█▇ "), (list(range(40)), " ▁▁▂▂▃▃▄▄▅▅▆▆▇▇█")],
)
def test_sparkline(series: list[int], expected: str) -> None:
    drawn = sparkline(series)
    if len(series) <= 20:
        assert drawn == expected
    else:
        assert len(drawn) == 20
        assert list(drawn) == sorted(drawn)


def test_an_open_loop_that_kept_up_says_so_and_one_that_did_not_says_what_to_do() -> None:
    kept = load_lines([row(9, 0)], run(90))
    assert kept[0] == (
        "lookup: 90 of 90 queries a second answered; latency counts from the scheduled time (p99 3.000 ms); "
        "9 sent over 1 ms late (1.0%), 0 unsent."
    )
    assert kept[1:] == ["lookup: the client used 40.0 µs of processor time a query, 0.00 of a core."]
    assert "Lower --rate, or raise --connections" in load_lines([row(9, 100)], run(100))[1]


def test_a_closed_loop_tells_the_overhead_of_its_longest_row_only() -> None:
    assert len(load_lines([row(None, None), row(None, None)], run(None))) == 1
