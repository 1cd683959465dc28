from dataclasses import replace

import pytest

from bench.answers import check_answers
from bench.benchmarks import Benchmark, Parameter
from bench.drivers import DRIVERS
from bench.errors import AnswersDiffer, ProjectError, QueryFailed
from bench.harness import measure
from bench.pgbench import compare, script_of
from bench.workers import Run, run_async
from loaders.connection import connect
from loaders.errors import ServerError
from tests.bench.conftest import SQL

AGE = Parameter("age", "integer", 22, 65)
LAYERS = [Benchmark(f"older_{layer}", "older", layer, text, (AGE,)) for layer, text in SQL.items()]
MART = LAYERS[-1]


def failing(text: str) -> Benchmark:
    return replace(MART, name="failing", sql=text)


@pytest.mark.parametrize("driver", list(DRIVERS))
def test_every_query_is_answered_once(run: Run, driver: str) -> None:
    rows = measure(MART, [1, 10, 100], replace(run, driver=driver))
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


@pytest.mark.parametrize("driver", list(DRIVERS))
def test_the_query_is_prepared_once_a_connection(run: Run, driver: str) -> None:
    counting = failing("select count(*) from pg_prepared_statements where statement like '%counting%' and $1 > 0")
    (row,) = measure(counting, [50], replace(run, driver=driver))
    assert row.summary.done == 50
    # One statement, however often and with whatever size of number it is asked.
    wide = replace(counting, parameters=(Parameter("any", "integer", 1, 10**6),))
    assert run_async(answers_of(wide, replace(run, driver=driver))) == {1}


async def answers_of(benchmark: Benchmark, run: Run) -> set[int]:
    from bench.workers import ask, open_sessions

    async with open_sessions(benchmark, run, 1) as (session,):
        for value in (1, 40_000, 7, 1_000_000):
            await ask(session, benchmark, (value,))
        return {await ask(session, benchmark, (value,)) for value in (1, 40_000)}


def test_a_row_ends_with_its_seconds_and_says_what_was_done(run: Run) -> None:
    (row,) = measure(failing("select pg_sleep(0.2), $1::int"), [1000], run)
    assert row.count == 1000
    assert 3 <= row.summary.done <= 18
    assert 1.0 <= row.summary.seconds < 2.0


@pytest.mark.parametrize("driver", list(DRIVERS))
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
    with pytest.raises(AnswersDiffer, match=r"With age = 40, older_mart answers \d+ and wrong answers \d+\."):
        run_async(check_answers([MART, wrong], run))


def test_layers_with_other_parameters_are_refused(run: Run) -> None:
    other = replace(MART, name="other", parameters=(replace(AGE, max=60),))
    with pytest.raises(ProjectError, match="other and older_mart differ in their parameters"):
        run_async(check_answers([MART, other], run))


@pytest.mark.parametrize("driver", list(DRIVERS))
def test_a_missing_table_is_told_with_a_remedy(run: Run, driver: str) -> None:
    with pytest.raises(QueryFailed, match=r'relation "nowhere" does not exist.*dbt build'):
        measure(failing("select 1 from nowhere where 1 = $1"), [1], replace(run, driver=driver))


@pytest.mark.parametrize("driver", list(DRIVERS))
def test_too_many_connections_are_told_with_a_remedy(run: Run, driver: str) -> None:
    with connect(run.address) as connection:
        connection.execute("drop role if exists ingot_test_few")
        connection.execute("create role ingot_test_few login superuser password 'few'")
        connection.execute("alter role ingot_test_few nosuperuser connection limit 2")
    try:
        address = replace(run.address, user="ingot_test_few", password="few")
        with pytest.raises(ServerError, match="--connections"):
            measure(failing("select $1::int"), [1], replace(run, driver=driver, address=address, connections=6))
    finally:
        with connect(run.address) as connection:
            connection.execute("drop role ingot_test_few")


def test_a_pgbench_script_draws_each_parameter() -> None:
    two = Benchmark(
        "two", "q", "mart", "select $1::int + $2 + $11 -- end", (AGE, Parameter("b", "bigint", 1, 2), *[AGE] * 9)
    )
    lines = script_of(two).splitlines()
    assert lines[:2] == ["\\set age random(22, 65)", "\\set b random(1, 2)"]
    assert lines[-2:] == ["select :age::int + :b + :age -- end", ";"]


def test_pgbench_runs_beside_the_harness(run: Run) -> None:
    comparison = compare(MART, run, rounds=1)
    assert len(comparison.pgbench_qps) == len(comparison.harness_qps) == 1
    # Far below the target, which a busy machine would miss; a harness that has become slow still fails here.
    assert comparison.ratio > 0.1
