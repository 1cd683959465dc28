from dataclasses import replace
from typing import Any

import pytest

from bench.queries.during import During
from bench.queries.pgbench import PgbenchComparison
from bench.queries.report import figures, rows_table, sparkline
from bench.queries.rows import Limit, Round, Row, Second
from bench.queries.run import Run
from loaders.connection import Address


def run(rate: float | None) -> Run:
    return Run(address=Address(), driver="libpq", connections=4, seconds=10, seed=1, rate=rate, processes=2)


def taken(**figures: Any) -> Round:
    known: dict[str, Any] = {"done": 900, "seconds": 10.0, "qps": 90.0, "mean_ms": 1.0, "max_ms": 4.0}
    latencies = {"50": 1.0, "95": 2.0, "99": 3.0}
    return Round(**known | {"percentiles": latencies, "overhead_us": 40.0} | figures)


def scheduled(late: int, unsent: int, **figures: Any) -> Round:
    return taken(late=late, unsent=unsent, service={"50": 0.5, "99": 2.5}, lag={"50": 0.25, "99": 0.75}, **figures)


def row(*rounds: Round, query: str = "lookup", layer: str = "mart", n: int | None = None) -> Row:
    return Row(query=query, question="q", layer=layer, n=n, rounds=rounds)


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


def test_a_row_is_the_medians_of_its_rounds() -> None:
    one = row(taken(qps=90.0, done=900), taken(qps=None, done=3, percentiles={}), taken(qps=110.0, max_ms=9.0))
    assert (one.qps, one.p99_ms, one.max_ms, one.done) == (100.0, 3.0, 9.0, 1803)
    assert str(one.spread("qps")) == "100.00 (90.00 to 110.00)"
    assert one.middle.qps == 90.0
    assert row(taken(qps=None)).qps is None


def test_the_table_has_ranges_where_there_are_rounds() -> None:
    several = rows_table([row(taken(qps=90.0), taken(qps=110.0))], run(None))
    headings = [column.header for column in several.columns]
    assert headings.count("lowest to highest") == 2
    assert [*several.columns[headings.index("lowest to highest")].cells] == ["90.0 to 110"]
    assert "medians of 2 rounds" in str(several.title)
    assert "lowest to highest" not in [column.header for column in rows_table([row(taken())], run(None)).columns]


def test_an_open_loop_says_how_it_kept_up() -> None:
    assert said([row(scheduled(9, 0))], run(90), "open-loop") == [
        "lookup: 90 queries a second answered; latency counts from the scheduled time: p99 3.000 ms, of the service "
        "alone 2.500 ms, of the lag before it 0.750 ms; 9 sent over 1 ms late (1.0%), 0 unsent."
    ]
    assert "Lower --rate, or raise --connections" in said([row(scheduled(9, 100))], run(100), "open-loop")[1]


def test_a_closed_loop_tells_the_client_s_time_of_its_longest_row() -> None:
    rows = [row(taken(done=1), n=1), row(taken(), n=900)]
    assert said(rows, run(None), "client") == [
        "lookup, n = 900: the client used 40.0 µs of processor time a query, 900 answers."
    ]


def limit(**figures: Any) -> Limit:
    known: dict[str, Any] = {
        "cores": 2.0, "client_cores": 0.5, "server_cores": 0.5, "machine_cores": 1.1, "samples": 10,
        "waits": {"Client:ClientRead": 0.9, "running": 0.1}, "io": None,
        "database": {"blks_hit": 99, "blks_read": 1, "temp_bytes": 0},
    }  # fmt: skip
    return Limit(**known | figures)


@pytest.mark.parametrize(
    ("figures_", "who"),
    [
        ({"server_cores": 1.4}, "the processors. Client 0.50 and server 1.40 of 2 cores"),
        ({"waits": {"Lock:relation": 0.8, "running": 0.2}}, "Lock:relation, for which its sessions wait. "),
        ({"client_cores": 0.9, "machine_cores": 1.4}, "the processors, which other programs use too. "),
        ({"client_cores": 0.9, "server_cores": 0.2}, "the client. "),
        ({}, "the way of a query there and back: nothing is full, more connections would give more. "),
        ({"server_cores": None, "machine_cores": None, "waits": {"running": 0.9}}, "the server, which is on another "),
    ],
)
def test_the_limit_is_named(figures_: dict[str, Any], who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1 if "other programs" in who else 2)
    alone = replace(run(None), processes=1)
    [words] = said([row(taken(limit=limit(**figures_)))], alone, "limit")
    assert words.startswith(f"lookup: the limit is {who}")
    assert "99.0% of 100 pages in shared buffers; the client used 40.0 µs" in words


def test_layers_are_compared_by_the_rounds_of_their_longest_rows() -> None:
    rows = [
        row(taken(qps=10.0), taken(qps=5.0), query="c", layer="core"),
        row(taken(qps=None, done=9), query="m"),
        row(taken(qps=500.0), taken(qps=400.0), query="m"),
    ]
    assert said(rows, run(None), "layers") == [
        "q: in queries a second, the mart answers 65.0 (50.0 to 80.0) times as many as core."
    ]
    assert said(rows, run(None), "latency") == [
        "m: 99 of 100 answers came within 3.00 ms, half of them within 1.00 ms."
    ]


def test_a_slow_row_says_that_it_was_cut() -> None:
    [words] = said([row(taken(done=7, was_cut=True))], replace(run(None), most_seconds=60), "slow")
    assert words.startswith("lookup: 7 answers in the 60 s of --limit, fewer than 200;")


def test_a_comparison_that_cannot_be_made_says_why() -> None:
    [left_out] = figures([row(taken())], run(None), [PgbenchComparison("lookup", note="too many texts")]).sentences[1:2]
    assert left_out.text == "lookup: not compared with pgbench: too many texts"


def test_what_happened_during_a_command_is_told_in_phases() -> None:
    seconds = [Second(answers=9, p50_ms=1.0, p99_ms=float(at), max_ms=10.0 * at) for at in range(6)]
    during = During("dbt run", 2.0, 3.5, 1)
    measured = figures([row(taken(timeline=seconds))], run(None), during=during)
    assert [one.text for one in measured.sentences if one.section == "during"] == [
        "lookup: `dbt run` took 1.5 s and failed with exit code 1.",
        "lookup: latency in ms: before (2 s) p50 1.00, the worst second's p99 1.00, longest 10.0; during (2 s) p50 "
        "1.00, the worst second's p99 3.00, longest 30.0; after (2 s) p50 1.00, the worst second's p99 5.00, longest "
        "50.0.",
    ]
