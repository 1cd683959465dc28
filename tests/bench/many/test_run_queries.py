"""run_queries on a real server: order, errors, losses, cancels, in both modes."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

import bench
from bench import QueryResult, iterate_queries, run_queries
from bench.errors import ToolError
from bench.many.run_queries import MODES, Mode
from loaders.connection import Address
from loaders.errors import ServerError
from tests.bench.support import REPOSITORY, sessions
from tests.waiting import wait_until

each_mode = pytest.mark.parametrize("mode", MODES)


def run(address: Address, *payloads: Any, mode: Mode, **options: Any) -> list[QueryResult]:
    return run_queries(address.conninfo, payloads, mode=mode, **{"workers": 2, "progress": False} | options)


def waiting_function(name: str, condition: str) -> bytes:
    """Return the SQL of a function that waits for a condition, a minute at most, and returns its session's process."""
    return f"""
        create function {name}() returns int language plpgsql as $$
        begin
            for attempt in 1..6000 loop
                if {condition} then
                    return pg_backend_pid();
                end if;
                perform pg_sleep(0.01);
            end loop;
            raise exception 'it did not come to that';
        end
        $$
    """.encode()


@pytest.fixture(autouse=True)
def no_session_stays(connection: psycopg.Connection) -> Iterator[None]:
    yield
    await_end(connection)


def await_end(connection: psycopg.Connection) -> None:
    wait_until(lambda: sessions(connection, "ingot queries") == 0)


@each_mode
def test_results_are_in_the_payloads_order_and_errors_are_theirs(address: Address, mode: Mode) -> None:
    payloads = [
        ("select $1::int as a, $2::text as b", (1, "x")),
        ("select pg_sleep(0.3)::text", ()),
        ("select 1 / $1", [0]),
        ("select 2.50::numeric, '{\"k\": [1]}'::jsonb, array[1, null], null", []),
        ("selec", []),
        ("select 1 where false", []),
        ("select $1", [object()]),
        ("select $1", [lambda: 0]),
        ("select", 3),
        *(("select $1::bigint * 2", [number]) for number in range(40)),
    ]
    results = run(address, *payloads, mode=mode, workers=3)
    assert [result.index for result in results] == list(range(len(payloads)))
    first, slow, division, types, syntax, empty, *others = results
    assert (first.rows, first.columns, first.error) == ([(1, "x")], ("a", "b"), None)
    assert slow.seconds >= 0.3
    assert (division.error, division.sqlstate, division.rows) == ("division by zero.", "22012", [])
    assert types.rows == [(Decimal("2.50"), {"k": [1]}, [1, None], None)]
    assert (syntax.sqlstate, syntax.error) == ("42601", 'syntax error at or near "selec".')
    assert (empty.rows, empty.error, len(empty.columns)) == ([], None, 1)
    assert all(result.error and result.sqlstate is None for result in others[:3])
    assert [result.rows for result in others[3:]] == [[(2 * number,)] for number in range(40)]


@each_mode
def test_as_they_come_short_ones_overtake_a_long_one(
    address: Address, connection: psycopg.Connection, mode: Mode
) -> None:
    connection.execute("create table short (number int)")
    connection.execute(waiting_function("goes_last", "(select count(*) from short) = 9"))
    short = [("insert into short values ($1)", [number]) for number in range(9)]
    results = run(address, ("select goes_last(), pg_sleep(0.5)", []), *short, mode=mode, ordered=False, read_only=False)
    assert [result.error for result in results] == [None] * 10
    assert results[-1].index == 0, "one worker kept the long one, the other took all the rest"
    assert sorted(result.index for result in results) == list(range(10))


@each_mode
def test_each_worker_keeps_its_connection(address: Address, connection: psycopg.Connection, mode: Mode) -> None:
    # A sequence counts at once, and for good.
    connection.execute("create sequence arrived")
    connection.execute(waiting_function("meets", "(select last_value from arrived) = 2"))
    meeting = "select meets() from nextval('arrived')"
    payloads = [(meeting, []), (meeting, []), *[("select pg_backend_pid()", [])] * 18]
    results = run(address, *payloads, mode=mode, workers=2, read_only=False)
    assert [result.error for result in results] == [None] * 20
    assert len({result.rows[0][0] for result in results}) == 2


@each_mode
def test_no_more_workers_than_payloads_and_none_for_none(address: Address, mode: Mode) -> None:
    assert [result.rows for result in run(address, ("select 1", []), mode=mode, workers=500)] == [[(1,)]]
    assert run(address, mode=mode) == []


@each_mode
def test_a_payload_writes_only_where_that_is_allowed(
    address: Address, connection: psycopg.Connection, mode: Mode
) -> None:
    connection.execute("create table written (a int)")
    payload = ("insert into written values ($1)", [1])
    assert run(address, payload, mode=mode)[0].sqlstate == "25006"
    assert run(address, payload, mode=mode, read_only=False) == [QueryResult(0, [], (), pytest.approx(0, abs=30))]
    assert connection.execute("select count(*) from written").fetchone() == (1,)


@each_mode
def test_a_transaction_ends_with_its_payload(address: Address, mode: Mode) -> None:
    payloads = [("begin", []), ("select 1", []), ("begin; select 1 / 0", []), ("select 2", [])]
    results = run(address, *payloads, mode=mode, workers=1)
    assert [result.rows for result in results] == [[], [(1,)], [], [(2,)]]
    assert [result.sqlstate for result in results] == [None, None, "22012", None]


@each_mode
def test_a_lost_connection_costs_its_payload_and_is_opened_again(address: Address, mode: Mode) -> None:
    payloads = [
        ("select pg_backend_pid()", []), ("select pg_terminate_backend(pg_backend_pid())", []),
        ("select pg_backend_pid()", []),
    ]  # fmt: skip
    first, lost, again = run(address, *payloads, mode=mode, workers=1)
    assert lost.sqlstate == "57P01"
    assert again.error is None
    assert again.rows != first.rows


@each_mode
def test_what_no_worker_is_left_to_run_has_failed(address: Address, superuser: psycopg.Connection, mode: Mode) -> None:
    superuser.execute("drop role if exists ingot_test_gone")
    superuser.execute("create role ingot_test_gone login superuser password 'gone'")
    try:
        gone = address.conninfo.replace("user=ingot", "user=ingot_test_gone").replace("password=ingot", "password=gone")
        end = "select pg_terminate_backend(pg_backend_pid())"
        payloads = [("alter role ingot_test_gone nologin", []), *[(end, [])] * 2, *[("select 1", [])] * 5]
        results = run_queries(gone, payloads, workers=1, mode=mode, read_only=False, progress=False)
    finally:
        superuser.execute("drop role ingot_test_gone")
    assert [result.sqlstate for result in results] == [None, "57P01", *[None] * 6]
    assert results[2].error is not None
    assert results[2].error.startswith("No connection: ")
    assert all(str(result.error).startswith("Not run: no worker could connect again.") for result in results[3:])


@each_mode
def test_no_connection_to_begin_with_is_an_error(address: Address, mode: Mode) -> None:
    with pytest.raises(ServerError, match=r"^No connection: .*Use fewer workers, or see that the server is up\."):
        run_queries("host=127.0.0.1 port=1 dbname=nowhere", [("select 1", [])], workers=1, mode=mode, progress=False)


@each_mode
def test_to_leave_the_loop_cancels_the_rest(address: Address, connection: psycopg.Connection, mode: Mode) -> None:
    # At the first result some workers may still be connecting, and are to leave no connection either.
    payloads = [("select 1", []), *[("select pg_sleep(60)", [])] * 4]
    results = iterate_queries(address.conninfo, payloads, workers=3, mode=mode, progress=False)
    assert next(results).index == 0
    results.close()  # type: ignore[attr-defined]
    await_end(connection)  # before they have slept for 60 seconds


def test_a_process_that_dies_costs_its_payload(address: Address, connection: psycopg.Connection) -> None:
    payloads = [("select pg_sleep(30)", []), *[("select $1::int", [number]) for number in range(5)]]
    results = iterate_queries(address.conninfo, payloads, workers=2, mode="processes", progress=False)
    found = [next(results) for _ in range(5)]
    for child in multiprocessing.active_children():
        child.kill()
    found.append(next(results))
    assert [result.rows for result in found[:5]] == [[(number,)] for number in range(5)]
    assert found[5].index == 0
    assert str(found[5].error).startswith("Its process ended while it ran")
    assert list(results) == []


def test_a_mode_or_number_of_workers_that_is_none_is_told() -> None:
    for wrong in ({"workers": 0}, {"workers": 1, "mode": "fibers"}):
        with pytest.raises(ValueError, match="pass workers >= 1 and one of threads, processes\\."):
            run_queries("", [("select 1", [])], **wrong)  # type: ignore[arg-type]


def test_an_unguarded_main_is_told(tmp_path: Path, address: Address) -> None:
    program = tmp_path / "unguarded.py"
    program.write_text(
        "from bench import run_queries\nrun_queries('', [('select 1', [])], workers=1, mode='processes')\n"
    )
    environment = os.environ | address.environment | {"PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ToolError.__name__ in ended.stderr
    assert "Call run_queries below `if __name__ == '__main__':`" in ended.stderr


SLEEPERS = """
import os, sys
from bench import iterate_queries
if __name__ == "__main__":
    payloads = [("select 1", []), *[("select pg_sleep(60)", [])] * 10]
    for _ in iterate_queries(os.environ["CONNINFO"], payloads, workers=3, mode=sys.argv[1]):
        print("answered", flush=True)
"""


@each_mode
def test_ctrl_c_ends_quickly_and_closes_the_connections(
    tmp_path: Path, address: Address, connection: psycopg.Connection, mode: Mode
) -> None:
    program = tmp_path / "sleepers.py"
    program.write_text(SLEEPERS)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CONNINFO": address.conninfo}
    with subprocess.Popen(
        [sys.executable, program, mode], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        assert started.stdout.readline() == b"answered\n"
        sleeping = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and wait_event = 'PgSleep'"
        wait_until(lambda: connection.execute(sleeping).fetchone() == (3,))
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does
        _, said = started.communicate(timeout=30)
    assert said.decode().strip().endswith("KeyboardInterrupt")
    await_end(connection)


def count_rows(result: QueryResult) -> int:
    return len(result.rows) // len(result.columns)


@each_mode
def test_a_function_is_applied_to_each_result_in_the_worker(address: Address, mode: Mode) -> None:
    payloads = [("select generate_series(1, $1)", [3]), ("selec", []), ("select", []), ("select 1, 2", [])]
    three, syntax, division, half = run(address, *payloads, mode=mode, function=count_rows)
    assert (three.value, three.rows, three.columns) == (3, [], ("generate_series",))
    assert (syntax.sqlstate, syntax.value) == ("42601", None)
    assert (division.error, division.sqlstate, division.value) == ("integer division or modulo by zero.", None, None)
    assert (half.value, half.error) == (0, None)


def test_a_function_runs_in_the_worker_s_process(address: Address) -> None:
    [one] = run(address, ("select 1", []), mode="processes", function=process_id)
    assert one.value != os.getpid()
    [one] = run(address, ("select 1", []), mode="threads", function=process_id)
    assert one.value == os.getpid()


def process_id(_: QueryResult) -> int:
    return os.getpid()


def test_a_function_that_no_process_can_import_is_told(address: Address) -> None:
    with pytest.raises(ToolError, match="define it with `def` at the top of a module"):
        run(address, ("select 1", []), mode="processes", function=lambda result: result.rows)


def test_the_package_exports_what_it_says() -> None:
    assert all(hasattr(bench, name) for name in bench.__all__)
    with pytest.raises(AttributeError, match="run_query"):
        bench.run_query  # noqa: B018
