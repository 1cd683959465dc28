"""Index trials on a small table: what they find, what they refuse, and that nothing stays, however they end."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.cli import main
from bench.errors import CandidateError, QueryFailed, UnknownQuery
from bench.queries.benchmarks import Benchmark, Parameter
from bench.tune.candidates import SETS, Candidate, propose, read_candidate
from bench.tune.command import of_set_or_named, sentences
from bench.tune.decision import Verdict, decide, median_interval
from bench.tune.indexes import BuiltIndex
from bench.tune.plans import SAME_PLAN, Plan, change_in_words, read_plan
from bench.tune.trials import Question, Trial, Tuning, UnreadTable, WrittenPlan, compare_plans, tune
from loaders.connection import Address, connect
from tests.bench.support import REPOSITORY, sessions, use
from tests.waiting import wait_until

OLDER = Benchmark(
    "older",
    "older",
    "core",
    "select count(*) from people where age > $1",
    (Parameter("age", "integer", range(60, 65)),),
)
NAMED = Benchmark(
    "named",
    "named",
    "core",
    "select id from people where lower(name) = $1",
    (Parameter("name", "text", ("person 7",)),),
)
TABLES = """
    create table people as
    select i::bigint as id, 22 + i * 7 % 44 as age, 'Person ' || i as name from generate_series(1, 20000) as i;
    create table visits as select i as person_id, i % 10 as days from generate_series(1, 100) as i;
    vacuum analyze people;
    vacuum analyze visits;
"""
INDEXES = "select count(*) from pg_class where relkind in ('i', 'I') and relnamespace = 'public'::regnamespace"


@pytest.fixture
def tables(address: Address, connection: psycopg.Connection) -> Address:
    for statement in TABLES.split(";")[:-1]:
        connection.execute(statement.encode())
    return address


def trial(before: list[float], after: list[float], verdict: Verdict) -> Trial:
    def plans(some: list[float], kind: str) -> tuple[Plan, ...]:
        return tuple(Plan({"Node Type": kind, "Relation Name": "people", "Schema": "public"}, ms, 1) for ms in some)

    index = BuiltIndex(frozenset("i"), 8192, 0.1)
    sides = plans(before, "Seq Scan"), plans(after, "Index Scan")
    return compare_plans(Question(OLDER, (60,)), "people (age)", [index], *sides, verdict, [WrittenPlan((), "{}")] * 2)


def run(tables: Address, *written: str, benchmarks: tuple[Benchmark, ...] = (OLDER,), **options: Any) -> Tuning:
    chosen = {"rounds": 3, "most_rounds": 3, "lock_seconds": 5.0} | options
    return tune(benchmarks, [read_candidate(one) for one in written], tables, **chosen)


def test_a_trial_measures_both_sides_and_leaves_nothing(tables: Address, connection: psycopg.Connection) -> None:
    one = replace(OLDER, parameters=(replace(OLDER.parameters[0], values=(63,)),))
    tuning = run(tables, "people (age)", "people (name)", "visits (days)", benchmarks=(one,))
    used, idle = tuning.trials
    assert used.candidate == "public.people (age)"
    assert (used.is_used, idle.is_used) == (True, False)
    assert used.change == "Seq Scan on people -> Index Only Scan using candidate"
    assert (idle.change, idle.verdict) == (SAME_PLAN, Verdict.SAME_PLAN)
    assert len(used.ms_before) == len(used.ms_after) == 3
    assert idle.plan_after is None
    assert len(idle.ms_before) == 1, "the same plan takes the same time: one pair shows it"
    assert used.verdict is Verdict.UNDECIDED, "three pairs decide nothing"
    assert 0 < used.pages_after < used.pages_before
    assert used.index_bytes > 100_000
    assert used.build_seconds > 0
    assert [one.candidate for one in tuning.not_read] == ["public.visits (days)"]
    assert connection.execute(INDEXES).fetchone() == (0,)
    wait_until(lambda: sessions(connection, "ingot tune") == 0)


def test_the_plans_are_kept_whole_as_text_and_json(tables: Address) -> None:
    trial = run(tables, "people (age)", rounds=1).trials[0]
    assert trial.plan_after is not None
    for plan, node in ((trial.plan_before, "Seq Scan"), (trial.plan_after, "Index Only Scan")):
        assert any(f"{node} " in line and "actual rows" in line for line in plan.text)
        assert any(line.startswith("Execution Time: ") for line in plan.text)
        whole = json.loads(plan.json)
        assert whole["Plan"]["Plans"][0]["Node Type"] == node
        assert whole["Execution Time"] > 0


def test_pairs_are_run_until_they_decide(tables: Address) -> None:
    # Of 20,000 rows one is asked for: with an index the time falls to a small part, however busy the machine.
    found = Benchmark("found", "found", "core", "select name from people where id = 7 and age > $1", ())
    asked = replace(found, parameters=(Parameter("age", "integer", (1,)),))
    [faster] = run(tables, "people (id)", benchmarks=(asked,), rounds=10, most_rounds=80).trials
    assert faster.verdict is Verdict.FASTER
    assert faster.ratio.median < 0.5
    assert len(faster.ms_before) in (10, 20, 40, 80)


def test_candidates_together_stay_for_the_next_ones(tables: Address, connection: psycopg.Connection) -> None:
    written = ("people (age)", "visits (days)", "people (name)")
    joined = "select count(*) from people as p inner join visits as v on p.id = v.person_id where p.age > $1"
    benchmarks = (replace(OLDER, sql=joined, parameters=(Parameter("age", "integer", (64,)),)),)
    tuning = run(tables, *written, benchmarks=benchmarks, rounds=1, most_rounds=1, together=True)
    names = ["public.people (age)", "+ public.visits (days)", "+ public.people (name)"]
    assert [one.candidate for one in tuning.trials] == names
    sizes = [one.index_bytes for one in tuning.trials]
    assert sizes == sorted(set(sizes)), "all that are there count"
    assert [one.is_used for one in tuning.trials] == [True] * 3, "the first is still there"
    assert "A candidate with a plus was tried with those before it." in [one.text for one in sentences(tuning)]
    assert connection.execute(INDEXES).fetchone() == (0,)


def test_low_middle_and_high_arguments_are_tried(tables: Address) -> None:
    titles = [one.title for one in run(tables, "people (age)", rounds=1).trials]
    assert titles == ["older (age = 60)", "older (age = 62)", "older (age = 64)"]
    role = Parameter("role", "text", ("mage", "rogue"))
    assert replace(OLDER, parameters=(*OLDER.parameters, role)).levels() == [(60, "mage"), (62, "mage"), (64, "rogue")]
    assert replace(OLDER, parameters=()).levels() == [()]


@pytest.mark.parametrize(("count", "places"), [(9, None), (10, (1, 10)), (20, (3, 18)), (40, (10, 31)), (80, (26, 55))])
def test_the_interval_is_the_sign_test_s(count: int, places: tuple[int, int] | None) -> None:
    found = median_interval([float(at) for at in range(1, count + 1)])
    assert (found and (found.low, found.high)) == places


def test_what_does_not_differ_is_seldom_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(1)

    def verdict(effect: float) -> Verdict:
        ratios: list[float] = []
        for wanted in (10, 20, 40, 80):
            ratios += [effect * source.lognormvariate(0, 0.3) for _ in range(wanted - len(ratios))]
            if (said := decide(ratios)) is not Verdict.UNDECIDED:
                break
        return said

    equal = [verdict(1.0) for _ in range(500)]
    assert sum(one in (Verdict.FASTER, Verdict.SLOWER) for one in equal) <= 5
    halved = [verdict(0.5) for _ in range(200)]
    assert halved.count(Verdict.FASTER) == 200
    assert decide([1.0, 1.01] * 20) is Verdict.NO_DIFFERENCE
    assert decide([0.97] * 40) is Verdict.NO_DIFFERENCE, "less than is asked about"


def test_an_expression_has_statistics(tables: Address) -> None:
    (trial,) = run(tables, "people (lower(name))", benchmarks=(NAMED,)).trials
    assert trial.is_used
    # Without statistics the planner takes any expression for 200 distinct values: 100 of these rows, by a bitmap.
    assert trial.change == "Seq Scan on people -> Index Scan using candidate"


@pytest.mark.parametrize("written", ["people using brin (age)", "people (age) include (id) where age > 30"])
def test_all_that_create_index_takes_is_a_candidate(tables: Address, written: str) -> None:
    assert run(tables, written, rounds=1).trials[0].candidate == f"public.{written}"


def test_partitions_count_together(address: Address, connection: psycopg.Connection) -> None:
    connection.execute("create table people (id bigint, age integer) partition by range (id)")
    for part in range(2):
        connection.execute(f"create table p{part} partition of people for values from ({part}000) to ({part + 1}000)")
    connection.execute("insert into people select i, i from generate_series(0, 1999) as i")
    trial, *_ = run(address, "people (age)", rounds=1).trials
    assert trial.is_used
    assert trial.index_bytes > 2 * 8192


@pytest.mark.parametrize("written", ["people", "people age", "", "(age)", "people using (age)", "a.b.people (age)"])
def test_a_candidate_that_cannot_be_read_shows_the_form(written: str) -> None:
    with pytest.raises(CandidateError, match=r'cannot be read\. Write it as.*--index "people \(age\)"'):
        read_candidate(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("peple (age)", r"peple \(age\): there is no such table.*people"),
        ("core.people (age)", r"there is no such table"),
        ("people (agee)", r'public\.people \(agee\): PostgreSQL does not build it: column "agee" does not exist\.'),
        ("people (age", "syntax error"),
        ("people using tree (age)", 'access method "tree" does not exist'),
        ("people (age); drop table visits", "cannot insert multiple commands"),
        ("people (age); commit", "cannot insert multiple commands"),
    ],
)
def test_a_candidate_that_is_wrong_is_told_before_anything_is_tried(
    tables: Address, connection: psycopg.Connection, written: str, said: str
) -> None:
    steps: list[str] = []
    with pytest.raises(CandidateError, match=said):
        run(tables, "people (name)", written, say=steps.append)
    assert steps == []
    assert connection.execute(INDEXES).fetchone() == (0,)
    assert connection.execute("select count(*) from visits").fetchone() == (100,)


def test_of_two_tables_of_a_name_the_one_that_is_read(tables: Address, connection: psycopg.Connection) -> None:
    connection.execute("create schema other")
    connection.execute("create table other.people (age integer)")
    connection.execute("create table other.visits (days integer)")
    assert run(tables, "people (age)", rounds=1).trials[0].candidate == "public.people (age)"
    with pytest.raises(CandidateError, match=r"visits \(days\): there are other\.visits, public\.visits\."):
        run(tables, "visits (days)")


@pytest.mark.parametrize(
    ("sql", "said"),
    [("select 1 from nowhere where 1 = $1", 'relation "nowhere" does not exist'), ("select 1 / ($1 - $1)", "division")],
)
def test_a_query_that_fails_is_named(tables: Address, sql: str, said: str) -> None:
    with pytest.raises(QueryFailed, match=rf"failing \(age = 6\d\) fails: {said}.*fix the analysis\."):
        run(tables, "people (age)", benchmarks=(replace(OLDER, name="failing", sql=sql),))


def test_a_query_that_writes_is_refused(tables: Address, connection: psycopg.Connection) -> None:
    writing = replace(
        OLDER, sql="with gone as (delete from people where age > $1 returning 1) select count(*) from gone"
    )
    with pytest.raises(QueryFailed, match="read-only transaction"):
        run(tables, "people (age)", benchmarks=(writing,))
    assert connection.execute("select count(*) from people").fetchone() == (20_000,)


def test_a_table_that_is_being_written_is_told_after_the_wait(tables: Address, connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("update visits set days = 1 where person_id = 1")
        connection.execute("lock table people in row exclusive mode")
        with pytest.raises(CandidateError, match=r"its table is being written.*--lock-seconds"):
            run(tables, "people (age)", lock_seconds=0.1)


def test_an_index_that_its_own_transaction_could_not_use_is_refused(
    tables: Address, connection: psycopg.Connection
) -> None:
    with connect(tables) as older:
        older.execute("begin isolation level repeatable read")
        older.execute("select count(*) from people")
        connection.execute("alter table people set (fillfactor = 50)")
        connection.execute("update people set name = 'Other' where id > 19990")  # HOT: no index has it
        with pytest.raises(CandidateError, match="End the older transactions"):
            run(tables, "people (age)")
        older.execute("rollback")
    assert run(tables, "people (age)", rounds=1).trials[0].is_used


def test_the_sentences_say_what_changes_what() -> None:
    unread = UnreadTable("older", "older (age = 60)", "visits (days)")
    trials = (
        trial([10, 11], [5, 5], Verdict.FASTER), trial([9, 9], [20, 21], Verdict.SLOWER),
        trial([10, 11], [10, 12], Verdict.NO_DIFFERENCE), trial([10], [19], Verdict.UNDECIDED),
        trial([10], [19], Verdict.SAME_PLAN),
    )  # fmt: skip
    assert [one.text for one in sentences(Tuning(together=False, trials=trials, not_read=(unread,)))] == [
        "older (age = 60): 2 of 6 candidates change the time; people (age) takes 0.48 of the time; people (age) takes "
        "2.3 times the time; no difference: people (age); undecided: people (age); 1 leave the plan as it is; 1 on "
        "tables that it does not read.",
        "Every index was rolled back; none is left.",
    ]
    [nothing] = sentences(Tuning(together=False, trials=(), not_read=()))
    assert nothing.text.startswith("There was nothing to try")


def test_a_plans_change_in_words() -> None:
    scan = {"Relation Name": "a", "Schema": "s", "Alias": "x"}
    bitmap = {"Node Type": "Bitmap Index Scan", "Index Name": "other"}
    before = {"Node Type": "Sort", "Plans": [{"Node Type": "Hash Join", "Plans": [scan | {"Node Type": "Seq Scan"}]}]}
    after = {"Node Type": "Nested Loop", "Plans": [scan | {"Node Type": "Bitmap Heap Scan", "Plans": [bitmap]}]}
    words = change_in_words(Plan(before, 1, 1), Plan(after, 1, 1), ["mine"])
    assert words == "Seq Scan on a x -> Bitmap Heap Scan using other; Sort, Hash Join -> Nested Loop"
    assert change_in_words(Plan(before, 1, 1), Plan(before["Plans"][0], 1, 1), []) == "without Sort"


def plan_of(connection: psycopg.Connection, sql: str) -> Plan:
    row = connection.execute(f"explain (verbose, format json) {sql}".encode()).fetchone()
    assert row is not None
    return read_plan(row[0])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from people where age = 30", ["people (age)", "people (age) include (id, name)"]),
        (
            "select count(*) from people where age > 30 and name = 'a.b = 1'",
            ["people (name)", "people (name) include (age)", "people (age)", "people (age) include (name)",
             "people (name, age)"],
        ),
        (
            "select sum(v.days) from visits as v inner join people as p on v.person_id = p.id",
            ["visits (person_id)", "visits (person_id) include (days)", "people (id)"],
        ),
        ("select id from people order by name desc", ["people (name)", "people (name) include (id)"]),
        ("select age, count(*) from people group by age having count(*) > 1 order by 2", ["people (age)"]),
        ("select age + 1, count(*) from people group by 1", []),
    ],
)  # fmt: skip
def test_candidates_are_proposed_from_filters_joins_and_sort_keys(
    tables: Address, connection: psycopg.Connection, sql: str, expected: list[str]
) -> None:
    columns = {("public", "people"): ["id", "age", "name"], ("public", "visits"): ["person_id", "days"]}
    proposed = propose(plan_of(connection, sql), columns)
    assert sorted(f"{one.table} {one.definition}" for one in proposed) == sorted(expected)


def test_what_an_index_begins_with_is_not_proposed(tables: Address, connection: psycopg.Connection) -> None:
    wide = replace(OLDER, sql="select id, age, name from people where age > $1")
    proposed = {one.candidate for one in run(tables, benchmarks=(wide,), rounds=1, proposing=True).trials}
    assert proposed == {"public.people (age)", "public.people (age) include (id, name)"}
    connection.execute("create index on people (age, id)")
    proposed = {one.candidate for one in run(tables, benchmarks=(wide,), rounds=1, proposing=True).trials}
    assert proposed == {"public.people (age) include (id, name)"}


def test_names_that_need_quotes_keep_them() -> None:
    assert read_candidate('"My Table" ("Id")') == Candidate("", "My Table", '("Id")')
    assert read_candidate('Core."My ""T""" (a)').name == 'core."My ""T""" (a)'


def test_the_ready_sets_can_be_read() -> None:
    assert {name: len([read_candidate(one) for one in ready.written]) for name, ready in SETS.items()} == {"shop": 7}


def test_tune_tries_and_shows_and_writes(
    layers: Address, analyses_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    use(layers, monkeypatch)
    monkeypatch.chdir(analyses_project)
    written = tmp_path / "tuning.json"
    assert (
        main(
            [
                "tune",
                "older_core",
                "--index",
                "people (age)",
                "--index",
                "people_older_than (age)",
                "--rounds",
                "2",
                "--most-rounds",
                "2",
                "--json",
                str(written),
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "older_core (age = " in said.out
    assert "Every index was rolled back; none is left." in said.out
    assert said.err.startswith("building public.people (age)\n")
    found = json.loads(written.read_text())
    assert {(one["candidate"], one["verdict"]) for one in found["trials"]} <= {
        ("public.people (age)", verdict) for verdict in ("undecided", "same plan")
    }
    assert [one["arguments"] for one in found["trials"]] == [[22], [43], [65]]
    assert {one["candidate"] for one in found["not_read"]} == {"public.people_older_than (age)"}
    assert layers.database not in written.read_text()


def test_a_set_has_its_own_queries() -> None:
    known = [replace(OLDER, name=name) for name in ("older", "shop_credit_ledger", "shop_credit_mart")]
    assert [one.name for one in of_set_or_named(known, [], "shop")] == ["shop_credit_ledger"]
    assert [one.name for one in of_set_or_named(known, ["older"], "shop")] == ["older"]
    assert of_set_or_named(known, [], None) == known
    with pytest.raises(UnknownQuery, match=r"named 'shop_\.\.\._ledger'\. Known: older\."):
        of_set_or_named(known[:1], [], "shop")


ENDLESS = """
import sys
from bench.tune.trials import tune
from bench.tune.candidates import read_candidate
from loaders.connection import Address
from bench.queries.benchmarks import Benchmark, Parameter
age = Parameter("age", "integer", range(60, 65))
older = Benchmark("older", "older", "core", "select count(*) from people where age > $1", (age,))
tune([older], [read_candidate("people (age)")], Address.from_environment(), rounds=10**6, most_rounds=10**6,
     lock_seconds=5, say=lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=lambda end: end.name)
def test_nothing_stays_however_it_ends(tables: Address, connection: psycopg.Connection, end: signal.Signals) -> None:
    environment = os.environ | tables.environment | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"building public.people (age)\n"
        assert started.stdout.readline().startswith(b"trying public.people (age) on older")
        # The index is there, for its transaction alone: others see only its lock.
        locks = "select count(*) from pg_locks where relation = 'people'::regclass and mode = 'ShareLock'"
        assert connection.execute(locks).fetchone() == (1,)
        started.send_signal(end)
        started.wait(timeout=30)
    wait_until(lambda: sessions(connection, "ingot tune") == 0)
    assert connection.execute(INDEXES).fetchone() == (0,)
    assert connection.execute("select count(*) from pg_index where indrelid = 'people'::regclass").fetchone() == (0,)
    assert connection.execute(locks).fetchone() == (0,)
    connection.execute("update people set age = age")  # nobody waits
