import pytest

from bench.queries.measure import Row
from bench.queries.report import figures, sparkline
from bench.queries.run import Run
from loaders.connection import Address


def run(rate: float | None) -> Run:
    return Run(address=Address(), driver="libpq", connections=4, seconds=10, seed=1, rate=rate, processes=2)


def row(late: int | None, unsent: int | None, **other: object) -> Row:
    known = {"query": "lookup", "question": "q", "layer": "mart", "n": None, "done": 900, "seconds": 10.0, "qps": 90.0}
    latencies = {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}
    rest = {"errors": 0, "first_error": None, "overhead_us": 40.0, "late": late, "unsent": unsent}
    return Row(**known | latencies | rest | other)  # type: ignore[arg-type]


def said(rows: list[Row], run: Run, section: str) -> list[str]:
    return [one.text for one in figures(rows, run).sentences if one.section == section]


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


def test_an_open_loop_says_how_it_kept_up() -> None:
    assert said([row(9, 0)], run(90), "open-loop") == [
        "lookup: 90 of 90 queries a second answered; latency counts from the scheduled time (p50 1.000 ms, p99 3.000 "
        "ms); 9 sent over 1 ms late (1.0%), 0 unsent."
    ]
    assert said([row(9, 0)], run(90), "client") == [
        "lookup: the client used 40.0 µs of processor time a query, 0.00 of a core."
    ]
    assert "Lower --rate, or raise --connections" in said([row(9, 100)], run(100), "open-loop")[1]


def test_a_closed_loop_tells_the_client_s_time_of_its_longest_row() -> None:
    rows = [row(None, None, n=1, done=1), row(None, None, n=900)]
    assert said(rows, run(None), "client") == [
        "lookup, n = 900: the client used 40.0 µs of processor time a query, 0.00 of a core."
    ]


def test_layers_are_compared_by_their_longest_rows() -> None:
    core, mart = {"query": "c", "layer": "core"}, {"query": "m", "layer": "mart"}
    rows = [
        row(None, None, **core, qps=10.0),
        row(None, None, **mart, qps=9.0, done=9),
        row(None, None, **mart, qps=500.0),
    ]
    assert said(rows, run(None), "layers") == ["q: in queries a second, the mart answers 50.0 times as many as core."]
    assert said(rows, run(None), "latency") == [
        "m: 99 of 100 answers came within 3.00 ms, half of them within 1.00 ms."
    ]
