import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

import psutil
import pytest
import uvloop

from bench.errors import QueryFailed, ToolError
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.measure import measure, measure_mixes
from bench.queries.rows import Row
from bench.queries.run import Mix, Run
from bench.queries.worker import fetch, open_sessions
from loaders.connection import connect
from loaders.errors import ServerError
from tests.bench.support import AGE, CORE, MART, SERVER_DRIVERS, asking, sessions
from tests.waiting import wait_until


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_every_query_is_answered_once(counted: Run, driver: str) -> None:
    rows = measure(MART, [1, 10, 100], replace(counted, driver=driver, processes=2))
    assert [(row.n, row.done, row.errors) for row in rows] == [
        (1, 1, 0),
        (10, 10, 0),
        (100, 100, 0),
    ]
    for row in rows:
        [taken] = row.rounds
        # Ten answers beyond it, or no percentile: of 10 there is no median, of 100 no p95.
        assert [*taken.percentiles] == (["50", "75", "90"] if row.n == 100 else [])
        assert taken.max_ms is not None
        assert 0 < taken.percentiles.get("50", 0.1) <= taken.max_ms <= taken.seconds * 1000


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_the_query_is_prepared_once_a_connection(counted: Run, driver: str) -> None:
    counting = asking("select count(*) from pg_prepared_statements where statement like '%counting%' and $1 > 0")
    (row,) = measure(counting, [50], replace(counted, driver=driver))
    assert row.done == 50
    # One statement, however often and with whatever size of number it is asked.
    wide = replace(counting, parameters=(Parameter("any", "integer", range(1, 10**6 + 1)),))
    assert uvloop.run(answers_of(wide, replace(counted, driver=driver))) == {1}


async def answers_of(benchmark: Benchmark, run: Run) -> set[int]:
    async with open_sessions([benchmark], run, 1) as (session,):
        for value in (1, 40_000, 7, 1_000_000):
            await fetch(session, benchmark, (value,))
        return {(await fetch(session, benchmark, (value,)))[0][0] for value in (1, 40_000)}


def test_a_row_ends_with_its_seconds_and_says_what_was_done(run: Run) -> None:
    (row,) = measure(asking("select pg_sleep(0.2), $1::int"), [1000], run)
    assert row.n == 1000
    assert 3 <= row.done <= 18
    assert row.seconds >= 1.0


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_errors_are_counted_beside_answers(counted: Run, driver: str) -> None:
    # The warm-up is ten queries a connection, or fewer where they take long; after thirty every query fails.
    with connect(counted.address) as connection:
        connection.execute("create sequence if not exists asked")
        connection.execute("select setval('asked', 1, false)")
    text = "select 1 / (case when nextval('asked') > 30 then 0 else 1 end), $1::int"
    (row,) = measure(asking(text), [60], replace(counted, driver=driver))
    assert row.done + row.errors == 60
    assert row.errors >= 30
    assert row.first_error == "division by zero."


def test_a_worker_whose_connection_is_gone_stops(counted: Run) -> None:
    with connect(counted.address) as connection:
        connection.execute("create sequence if not exists lived")
        connection.execute("select setval('lived', 1, false)")
    text = "select case when nextval('lived') > 30 then pg_terminate_backend(pg_backend_pid()) end, $1::int"
    (row,) = measure(asking(text), [3000], counted)
    assert row.errors == 3
    assert row.done < 30


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_a_missing_table_has_a_remedy(run: Run, driver: str) -> None:
    with pytest.raises(QueryFailed, match=r'relation "nowhere" does not exist.*dbt build'):
        measure(asking("select 1 from nowhere where 1 = $1"), [1], replace(run, driver=driver))


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_too_many_connections_are_told_with_a_remedy(run: Run, driver: str) -> None:
    owner = run.address
    with connect(owner) as connection:
        connection.execute("drop role if exists ingot_test_few")
        connection.execute("create role ingot_test_few login password 'few' connection limit 2")
    try:
        address = replace(run.address, user="ingot_test_few", password="few")
        run = replace(run, driver=driver, address=address, connections=6, processes=2)
        with pytest.raises(ServerError, match="--connections"):
            measure(
                asking("select $1::int"), [1], replace(run, driver=driver, address=address, connections=6, processes=2)
            )
    finally:
        with connect(owner) as connection:
            connection.execute("drop role ingot_test_few")


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_text_arguments(counted: Run, driver: str) -> None:
    word = Parameter("word", "text", ("it's", "plain", ""))
    (row,) = measure(
        Benchmark("w", "w", "mart", "select 1 / (length($1) + 1)", (word,)), [9], replace(counted, driver=driver)
    )
    assert (row.done, row.errors) == (9, 0)


@pytest.mark.parametrize("driver", ["asyncpg", "libpq", "psycopg-pipeline"])
def test_an_open_loop_asks_what_is_due(run: Run, driver: str) -> None:
    run = replace(run, driver=driver, rate=100, processes=2)
    [one] = measure(MART, [7], replace(run, seconds=30))
    assert (one.done, one.unsent) == (7, 0)
    [all_] = measure(MART, [None], run)
    # A Poisson process: its count has a deviation of 10.
    assert 50 < all_.done + (all_.unsent or 0) < 150
    [taken] = all_.rounds
    assert taken.service is not None
    assert taken.lag is not None
    assert taken.service["50"] <= taken.percentiles["50"]


def test_an_open_loop_that_the_server_cannot_follow_says_how_much_was_not_sent(run: Run) -> None:
    (row,) = measure(asking("select pg_sleep(0.2), $1::int"), [None], replace(run, rate=100))
    assert 50 < row.done + (row.unsent or 0) < 150
    assert row.done <= 18
    assert (row.late or 0) > row.done / 2
    # Most were never sent, and count with the time that they had waited at the end.
    [taken] = row.rounds
    assert taken.max_ms is not None
    assert taken.max_ms > 600
    assert taken.percentiles["75"] > 400
    assert taken.service == {}, "too few were answered to say how long the service took"


@pytest.mark.parametrize("driver", ["asyncpg", "libpq"])
def test_a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one(run: Run, driver: str) -> None:
    run = replace(run, driver=driver, connections=2, processes=1, seconds=4)
    (closed,) = while_stalled(run, 1.0)
    (opened,) = while_stalled(replace(run, rate=700), 1.0)
    assert closed.p50_ms is not None
    assert closed.p99_ms is not None
    assert opened.p99_ms is not None
    assert closed.max_ms is not None
    assert closed.max_ms > 900, "the stall happened"
    assert closed.p50_ms < closed.p99_ms < 500
    assert opened.p99_ms > 700


def while_stalled(run: Run, seconds: float) -> list[Row]:
    """Measure while another session locks the table, once, for so many seconds."""

    def stall() -> None:
        with connect(run.address) as connection:
            wait_until(lambda: sessions(connection, "ingot bench") == run.connections)
            time.sleep(1.5)  # past the drawing of arguments and the warm-up
            with connection.transaction():
                connection.execute("lock table people_older_than in access exclusive mode")
                time.sleep(seconds)

    with ThreadPoolExecutor(1) as beside:
        stalled = beside.submit(stall)
        rows = measure(MART, [None], run)
        stalled.result()
    return rows


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_a_mix_draws_by_weight_and_adds_up(counted: Run, driver: str) -> None:
    mix = Mix((CORE, MART), (1, 4))
    core, mart, total = measure_mixes([mix], [500], replace(counted, driver=driver, processes=2))
    assert (total.query, total.done) == ("total", 500)
    assert core.done + mart.done == 500
    assert 395 <= mart.done <= 405, "each block of five has one of core's, wherever the quotas cut it"
    assert total.overhead_us is not None
    assert mart.overhead_us is None


def test_errors_in_a_mix_belong_to_their_query(counted: Run) -> None:
    # Three of its queries fail, after those of the warm-up.
    with connect(counted.address) as connection:
        connection.execute("create sequence if not exists mixed")
    text = "select 1 / (case when nextval('mixed') in (31, 32, 33) then 0 else 1 end), $1::int"
    bad, mart, total = measure_mixes([Mix((asking(text), MART), (1, 1))], [300], counted)
    assert mart.errors == 0
    assert bad.errors == total.errors == 3
    assert bad.done + mart.done == total.done == 297
    assert bad.first_error == "division by zero."


def test_a_pipeline_ends_with_its_last_batch(run: Run) -> None:
    slow = asking("select pg_sleep(0.2), $1::int")
    (row,) = measure(slow, [None], replace(run, driver="psycopg-pipeline", pipeline=2))
    assert 6 <= row.done <= 18
    assert row.max_ms is not None
    assert row.max_ms > 300, "queries of a batch wait for those before them"


@pytest.mark.parametrize(("asked", "expected"), [(None, 2), (1, 1), (8, 3)])
def test_processes(run: Run, asked: int | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.queries.run.usable_cores", lambda: 2.5)
    assert replace(run, processes=asked).process_count == expected


def test_a_longer_warm_up_is_before_the_clock(counted: Run) -> None:
    with connect(counted.address) as connection:
        connection.execute("create sequence warmed")
        counting = replace(asking("select nextval('warmed'), pg_sleep(0.01), $1::int"), parameters=(AGE,))
        (row,) = measure(counting, [3], replace(counted, warm_up=0.5))
        asked = connection.execute("select last_value from warmed").fetchone()
    assert row.done == 3
    assert asked is not None
    # Ten a connection in any case, and as many again in less than the half second.
    assert asked[0] > 3 * 20


def test_rounds_alternate_and_each_begins_with_another(counted: Run) -> None:
    with connect(counted.address) as connection:
        connection.execute("create table asked (n serial, who text)")
    one, two = (
        replace(asking(f"insert into asked (who) values ('{who}') returning $1::int"), name=who) for who in "ab"
    )
    rows = measure_mixes([Mix.of(one), Mix.of(two)], [5, 6], counted, rounds=3)
    assert [(row.query, row.n, [taken.done for taken in row.rounds]) for row in rows] == [
        ("a", 5, [5] * 3), ("a", 6, [6] * 3), ("b", 5, [5] * 3), ("b", 6, [6] * 3),
    ]  # fmt: skip
    with connect(counted.address) as connection:
        order = "".join(who for (who,) in connection.execute("select who from asked order by n").fetchall())
    assert "".join(who for who, _ in groupby(order)) == "abab"
    # As often as the rows say, after ten a connection that warm it up, or fewer where they take long.
    assert 3 * 2 * (5 + 6) < len(order) <= 3 * 2 * (5 + 6 + 3 * 10)


def test_a_slow_query_goes_on_until_it_has_enough_answers_or_its_limit(run: Run) -> None:
    slow = asking("select pg_sleep(0.01), $1::int")
    [row] = measure(slow, [None], replace(run, seconds=0.2, most_seconds=30))
    assert 200 <= row.done <= 203
    assert [*row.rounds[0].percentiles] == ["50", "75", "90", "95"]
    assert not row.rounds[0].was_cut
    [row] = measure(slow, [None], replace(run, seconds=0.2, most_seconds=0.3))
    assert 3 <= row.done < 200
    assert row.rounds[0].was_cut


def test_a_query_that_takes_too_long_is_ended_and_counts_as_an_error(counted: Run) -> None:
    with connect(counted.address) as connection:
        connection.execute("create sequence slept")
    slow = asking("select case when nextval('slept') in (31, 32, 33) then pg_sleep(60) end, $1::int")
    for driver in ("asyncpg", "psycopg", "libpq"):
        with connect(counted.address) as connection:
            connection.execute("select setval('slept', 1, false)")
        [row] = measure(slow, [36], replace(counted, driver=driver, timeout=0.5))
        assert (row.done, row.errors) == (33, 3)
        assert row.first_error == "canceling statement due to statement timeout."


def test_the_time_in_which_connections_idle_is_not_in_the_rate(run: Run) -> None:
    # One of three workers has three queries more than its share of time: they are drawn by the first connection.
    text = "select pg_sleep(case when pg_try_advisory_lock(7) then 0.25 else 0.05 end), $1::int"
    [row] = measure(asking(text), [36], replace(run, seconds=30))
    [taken] = row.rounds
    assert taken.seconds > 2.5, "the slow one of 12 queries a worker"
    assert taken.qps is not None
    assert taken.qps > 1.5 * taken.done / taken.seconds


def test_the_anchor_and_the_limit_are_of_each_round(run: Run) -> None:
    rows = measure_mixes([Mix.of(CORE)], [None], replace(run, anchor_seconds=0.5, is_observed=True), rounds=1)
    [taken] = rows[0].rounds
    assert taken.anchor_qps is not None
    assert taken.anchor_qps > 10
    limit = taken.limit
    assert limit is not None
    assert 0 < limit.client_cores < limit.cores
    assert limit.server_cores is not None, "the server of the tests is on this machine"
    assert limit.server_cores > 0
    assert limit.samples > 0
    assert sum(limit.waits.values()) == pytest.approx(1)
    # Each scans the table of 2,000 rows; what the sessions had not reported yet would be missing.
    assert limit.database["tup_returned"] >= 2000 * taken.done
    assert limit.database["xact_commit"] == pytest.approx(taken.done, abs=60)


def test_a_process_that_is_killed_is_told(run: Run) -> None:
    def kill() -> None:
        with connect(run.address) as connection:
            wait_until(lambda: sessions(connection, "ingot bench") == run.connections)
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    with ThreadPoolExecutor(1) as beside:
        killed = beside.submit(kill)
        with pytest.raises(ToolError, match="ended early"):
            measure(MART, [None], replace(run, seconds=30))
        killed.result()
