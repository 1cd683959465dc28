import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from bench.errors import AnswersDiffer, ProjectError, QueryFailed, ToolError
from bench.queries.answers import check_answers, first_difference
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.drivers import DRIVERS
from bench.queries.measure import Row, measure, measure_mix, processes
from bench.queries.pgbench import compare, pgbench_program, pgbench_turn, scripts_of
from bench.queries.worker import Mix, Run, ask, open_sessions, run_async
from loaders.connection import connect
from loaders.errors import ServerError
from tests.bench.conftest import SQL

AGE = Parameter("age", "integer", range(22, 66))
LAYERS = [Benchmark(f"older_{layer}", "older", layer, text, (AGE,)) for layer, text in SQL.items()]
MART = LAYERS[-1]
SERVER_DRIVERS = [name for name, driver in DRIVERS.items() if not driver.is_in_process]


def failing(text: str) -> Benchmark:
    return replace(MART, name="failing", sql=text)


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_every_query_is_answered_once(run: Run, driver: str) -> None:
    rows = measure(MART, [1, 10, 100], replace(run, driver=driver, processes=2))
    assert [(row.count, row.summary.done, row.summary.errors) for row in rows] == [
        (1, 1, 0),
        (10, 10, 0),
        (100, 100, 0),
    ]
    for row in rows:
        s = row.summary
        assert s.p50_ms is not None
        assert s.max_ms is not None
        assert 0 < s.p50_ms <= s.max_ms <= s.seconds * 1000


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_the_query_is_prepared_once_a_connection(run: Run, driver: str) -> None:
    counting = failing("select count(*) from pg_prepared_statements where statement like '%counting%' and $1 > 0")
    (row,) = measure(counting, [50], replace(run, driver=driver))
    assert row.summary.done == 50
    # One statement, however often and with whatever size of number it is asked.
    wide = replace(counting, parameters=(Parameter("any", "integer", range(1, 10**6 + 1)),))
    assert run_async(answers_of(wide, replace(run, driver=driver))) == {1}


async def answers_of(benchmark: Benchmark, run: Run) -> set[int]:
    async with open_sessions([benchmark], run, 1) as (session,):
        for value in (1, 40_000, 7, 1_000_000):
            await ask(session, benchmark, (value,))
        return {(await ask(session, benchmark, (value,)))[0][0] for value in (1, 40_000)}


def test_a_row_ends_with_its_seconds_and_says_what_was_done(run: Run) -> None:
    (row,) = measure(failing("select pg_sleep(0.2), $1::int"), [1000], run)
    assert row.count == 1000
    assert 3 <= row.summary.done <= 18
    assert 1.0 <= row.summary.seconds < 2.0


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_errors_are_counted_beside_answers(run: Run, driver: str) -> None:
    # The warm-up is ten queries; the sequence lets those pass, and then every query fails.
    with connect(run.address) as connection:
        connection.execute("create sequence if not exists asked")
        connection.execute("select setval('asked', 1, false)")
    text = "select 1 / (case when nextval('asked') > 30 then 0 else 1 end), $1::int"
    (row,) = measure(failing(text), [20], replace(run, driver=driver))
    assert (row.summary.done, row.summary.errors) == (0, 20)
    assert row.summary.first_error == "division by zero."


def test_a_worker_whose_connection_is_gone_stops(run: Run) -> None:
    with connect(run.address) as connection:
        connection.execute("create sequence if not exists lived")
        connection.execute("select setval('lived', 1, false)")
    text = "select case when nextval('lived') > 30 then pg_terminate_backend(pg_backend_pid()) end, $1::int"
    (row,) = measure(failing(text), [3000], run)
    assert (row.summary.done, row.summary.errors) == (0, 3)


def test_layers_that_agree_are_counted(run: Run) -> None:
    assert run_async(check_answers(LAYERS, run)) == 88
    assert run_async(check_answers([MART], run)) == 0


def test_layers_that_differ_name_query_argument_and_answers(run: Run) -> None:
    text = "select older_count + ($1 = 40)::int from people_older_than where age = $1"
    wrong = replace(MART, name="wrong", sql=text)
    with pytest.raises(AnswersDiffer, match=r"With age = 40, older_mart answers \d+ and wrong answers \d+ in row 1\."):
        run_async(check_answers([MART, wrong], run))


def test_layers_with_other_parameters_are_refused(run: Run) -> None:
    other = replace(MART, name="other", parameters=(replace(AGE, values=range(22, 61)),))
    with pytest.raises(ProjectError, match="other and older_mart differ in their parameters"):
        run_async(check_answers([MART, other], run))


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_a_missing_table_is_told_with_a_remedy(run: Run, driver: str) -> None:
    with pytest.raises(QueryFailed, match=r'relation "nowhere" does not exist.*dbt build'):
        measure(failing("select 1 from nowhere where 1 = $1"), [1], replace(run, driver=driver))


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_too_many_connections_are_told_with_a_remedy(run: Run, driver: str) -> None:
    owner = run.address
    with connect(owner) as connection:
        connection.execute("drop role if exists ingot_test_few")
        connection.execute("create role ingot_test_few login superuser password 'few'")
        connection.execute("alter role ingot_test_few nosuperuser connection limit 2")
    try:
        address = replace(run.address, user="ingot_test_few", password="few")
        run = replace(run, driver=driver, address=address, connections=6, processes=2)
        with pytest.raises(ServerError, match="--connections"):
            measure(
                failing("select $1::int"), [1], replace(run, driver=driver, address=address, connections=6, processes=2)
            )
    finally:
        with connect(owner) as connection:
            connection.execute("drop role ingot_test_few")


def test_a_pgbench_script_draws_each_parameter() -> None:
    two = Benchmark(
        "two", "q", "mart", "select $1::int + $2 + $11 -- end", (AGE, Parameter("b", "bigint", range(1, 3)), *[AGE] * 9)
    )
    (script,) = scripts_of(Mix.of(two))
    lines = script.text.splitlines()
    assert lines[:2] == ["\\set age random(22, 65)", "\\set b random(1, 2)"]
    assert lines[-2:] == ["select :age::int + :b + :age -- end", ";"]


def test_pgbench_takes_a_script_for_each_set_of_texts() -> None:
    role, name = Parameter("role", "text", ("mage", "it's")), Parameter("name", "text", ("a", "b", "c"))
    asked = Benchmark("asked", "q", "mart", "select $1, $2, $3", (role, AGE, name))
    scripts = scripts_of(Mix((asked, MART), (2, 1)))
    assert [script.weight for script in scripts] == [2] * 6 + [6]
    assert scripts[4].variables == {"role_4": "it's", "name_4": "b"}
    assert scripts[4].text.splitlines() == ["\\set age random(22, 65)", "select :role_4, :age, :name_4", ";"]
    with pytest.raises(ToolError, match="Declare fewer values"):
        scripts_of(Mix.of(replace(asked, parameters=(role, AGE, replace(name, values=[str(n) for n in range(99)])))))


def test_pgbench_runs_a_mix_with_texts_in_a_pipeline(run: Run) -> None:
    texts = Parameter("word", "text", ("plain", "it's", 'a "b" c'))
    echo = Benchmark("echo", "q", "mart", "select 1 / (length($1) + $2)", (texts, AGE))
    turn = pgbench_turn(
        pgbench_program(run.address), Mix((echo, MART), (1, 3)), replace(run, driver="psycopg-pipeline")
    )
    assert turn.qps > 0
    assert turn.overhead_us > 0


def test_pgbench_runs_beside_the_harness(run: Run) -> None:
    comparison = compare(Mix.of(MART), run, rounds=1)
    assert len(comparison.pgbench_qps) == len(comparison.harness_qps) == 1
    # Far below the target, which a busy machine would miss; a harness that has become slow still fails here.
    assert comparison.ratio > 0.1
    assert comparison.harness[0].overhead_us > 0


def test_answers_are_compared_whole() -> None:
    assert first_difference([(1, "a"), (2, None)], [(1, "a"), (2, None)]) is None
    assert first_difference([(Decimal("1.50"), 0.5)], [(1.5, Decimal("0.500"))]) is None
    assert first_difference([(float("nan"),)], [(Decimal("nan"),)]) is None
    assert first_difference([(1,), (2,)], [(1,)]) == (2, ((2,), None))
    assert first_difference([(1, 2)], [(1, 3)]) == (1, ((1, 2), (1, 3)))
    assert first_difference([("1",)], [(1,)]) == (1, (("1",), (1,)))
    assert first_difference([(1,)], [(Decimal(1),)]) == (1, ((1,), (Decimal(1),)))
    assert first_difference([], []) is None


def test_layers_are_compared_in_every_row(run: Run) -> None:
    text = "select age, older_count + (age = 30)::int from people_older_than where $1 > 0 order by age"
    right = replace(MART, sql=text.replace(" + (age = 30)::int", ""))
    with pytest.raises(
        AnswersDiffer, match=r"older_mart answers \(30, \d+\) and wrong answers \(30, \d+\) in row 31\."
    ):
        run_async(check_answers([right, replace(MART, name="wrong", sql=text)], run))


def test_queries_without_parameters_are_asked_and_compared(run: Run) -> None:
    none = Benchmark("none", "all", "core", "select count(*) from people", ())
    assert run_async(check_answers([none, replace(none, layer="mart")], run)) == 1
    for driver in SERVER_DRIVERS:
        (row,) = measure(none, [5], replace(run, driver=driver))
        assert (row.summary.done, row.summary.errors) == (5, 0)


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_text_arguments(run: Run, driver: str) -> None:
    word = Parameter("word", "text", ("it's", "plain", ""))
    (row,) = measure(
        Benchmark("w", "w", "mart", "select 1 / (length($1) + 1)", (word,)), [9], replace(run, driver=driver)
    )
    assert (row.summary.done, row.summary.errors) == (9, 0)


@pytest.mark.parametrize("driver", ["asyncpg", "libpq", "psycopg-pipeline"])
def test_an_open_loop_asks_what_is_due(run: Run, driver: str) -> None:
    one, all_ = measure(MART, [7, None], replace(run, driver=driver, rate=100, processes=2))
    assert (one.summary.done, one.summary.unsent) == (7, 0)
    assert all_.summary.done + (all_.summary.unsent or 0) == 100
    # Six arrivals after the first at 100 a second.
    assert one.summary.seconds >= 0.06


def test_an_open_loop_that_the_server_cannot_follow_says_how_much_was_not_sent(run: Run) -> None:
    (row,) = measure(failing("select pg_sleep(0.2), $1::int"), [None], replace(run, rate=100))
    s = row.summary
    assert s.done + (s.unsent or 0) == 100
    assert s.done <= 18
    assert (s.late or 0) > s.done / 2
    # The last ones sent were due long before.
    assert s.max_ms is not None
    assert s.max_ms > 600


@pytest.mark.parametrize("driver", ["asyncpg", "libpq"])
def test_a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one(run: Run, driver: str) -> None:
    run = replace(run, driver=driver, connections=2, processes=1, seconds=2.2)
    (closed,) = while_stalled(run, 1.0)
    (opened,) = while_stalled(replace(run, rate=200), 1.0)
    assert closed.summary.p50_ms is not None
    assert closed.summary.p99_ms is not None
    assert opened.summary.p99_ms is not None
    assert closed.summary.max_ms is not None
    assert closed.summary.max_ms > 900, "the stall happened"
    assert closed.summary.p50_ms < closed.summary.p99_ms < 500
    assert opened.summary.p99_ms > 700


def while_stalled(run: Run, seconds: float) -> list[Row]:
    """Measure while another session locks the table, once, for so many seconds."""

    def stall() -> None:
        here = "select count(*) from pg_stat_activity where datname = current_database() and application_name = %s"
        with connect(run.address) as connection:
            while connection.execute(here, ["ingot bench"]).fetchone() != (run.connections,):
                time.sleep(0.01)
            time.sleep(0.5)  # past the warm-up
            with connection.transaction():
                connection.execute("lock table people_older_than in access exclusive mode")
                time.sleep(seconds)

    with ThreadPoolExecutor(1) as beside:
        stalled = beside.submit(stall)
        rows = measure(MART, [None], run)
        stalled.result()
    return rows


@pytest.mark.parametrize("driver", SERVER_DRIVERS)
def test_a_mix_draws_by_weight_and_adds_up(run: Run, driver: str) -> None:
    mix = Mix((LAYERS[1], MART), (1, 4))
    core, mart, total = measure_mix(mix, [500], replace(run, driver=driver, processes=2))
    assert (total.benchmark.name, total.summary.done) == ("total", 500)
    assert core.summary.done + mart.summary.done == 500
    assert 300 < mart.summary.done < 480
    assert total.summary.overhead_us is not None
    assert mart.summary.overhead_us is None


def test_errors_in_a_mix_belong_to_their_query(run: Run) -> None:
    # It fails from age 60 on, which the warm-up draws too: so only after a while.
    with connect(run.address) as connection:
        connection.execute("create sequence if not exists mixed")
    text = "select 1 / (case when nextval('mixed') > 30 then 0 else 1 end), $1::int"
    bad, mart, total = measure_mix(Mix((failing(text), MART), (1, 1)), [300], run)
    assert bad.summary.done == mart.summary.errors == 0
    assert bad.summary.errors == total.summary.errors == 300 - mart.summary.done
    assert bad.summary.first_error == "division by zero."


def test_a_pipeline_of_slow_queries_ends_in_time(run: Run) -> None:
    slow = failing("select pg_sleep(0.2), $1::int")
    (row,) = measure(slow, [None], replace(run, driver="psycopg-pipeline"))
    assert 6 <= row.summary.done <= 18
    assert row.summary.max_ms is not None
    assert row.summary.max_ms > 300, "queries of a batch wait for those before them"


@pytest.mark.parametrize(("asked", "expected"), [(None, 2), (1, 1), (8, 3)])
def test_processes(run: Run, asked: int | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert processes(replace(run, processes=asked)) == expected
    assert processes(replace(run, processes=asked, driver="duckdb")) == 1


def test_a_longer_warm_up_is_before_the_clock(run: Run) -> None:
    with connect(run.address) as connection:
        connection.execute("create sequence warmed")
        counting = replace(failing("select nextval('warmed'), pg_sleep(0.01), $1::int"), parameters=(AGE,))
        (row,) = measure(counting, [3], replace(run, warm_up=0.5))
        asked = connection.execute("select last_value from warmed").fetchone()
    assert row.summary.done == 3
    assert asked is not None
    # Ten a connection in any case, and as many again in less than the half second.
    assert asked[0] > 3 * 20


def test_duckdb_answers_from_copies_of_what_the_query_reads(run: Run) -> None:
    with connect(run.address) as connection:
        connection.execute(
            "create schema other; create table other.kinds (id integer, label text, price numeric(10, 2), "
            "made_at timestamptz, total numeric, is_new boolean, day date, big bigint, ratio double precision);"
            "insert into other.kinds values (1, '', 1.25, '2024-01-01 12:00+00', 12345678901.0625, true, '2024-02-29', "
            "9007199254740993, 0.1), (2, null, null, null, null, null, null, null, null), "
            "(3, E'a,\"b\"\nc', -1, '2024-01-01 00:00+02', 0, false, '1999-12-31', -1, 1e300)"
        )
    columns = "id, label, price, extract(epoch from made_at)::bigint, total::double precision, is_new, day, big, ratio"
    sql = f'select {columns} from "{run.address.database}"."other"."kinds" where id >= $1 order by id'
    from_one = Parameter("id", "integer", range(1, 2))
    kinds = Benchmark("kinds", "kinds", "core", sql, (from_one,), (("other", "kinds"),))

    async def answer(driver: str) -> list[tuple[object, ...]]:
        async with open_sessions([kinds], replace(run, driver=driver), 1) as (session,):
            return await ask(session, kinds, (1,))

    assert run_async(answer("duckdb")) == run_async(answer("libpq"))
    (row,) = measure(kinds, [20], replace(run, driver="duckdb"))
    assert (row.summary.done, row.summary.errors) == (20, 0)
    (row,) = measure(kinds, [20], replace(run, driver="duckdb", rate=1000))
    assert row.summary.done == 20


def test_duckdb_says_what_is_not_there_to_copy(run: Run) -> None:
    with pytest.raises(QueryFailed, match=r"public\.nowhere is not there to copy into DuckDB"):
        measure(replace(MART, reads=(("public", "nowhere"),)), [1], replace(run, driver="duckdb"))
    with pytest.raises(ToolError, match="pgbench asks PostgreSQL"):
        compare(Mix.of(MART), replace(run, driver="duckdb"))
