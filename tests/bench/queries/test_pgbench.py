from dataclasses import replace

import pytest

from bench.errors import ToolError
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.pgbench import Pgbench, compare, scripts_of
from bench.queries.run import Mix, Run
from loaders.connection import connect
from tests.bench.support import AGE, MART, asking


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
    pgbench = Pgbench.checked(Mix((echo, MART), (1, 3)), replace(run, driver="psycopg-pipeline"))
    turn = pgbench.measured(0)
    assert turn.qps > 0
    assert turn.overhead_us > 0
    assert pgbench.start_seconds > 0


def test_pgbench_runs_beside_the_harness(run: Run) -> None:
    comparison = compare(Pgbench.checked(Mix.of(MART), run), rounds=2)
    assert len(comparison.pgbench) == len(comparison.harness) == 2
    # Far below the target, which a busy machine would miss; a harness that has become slow still fails here.
    assert comparison.ratio is not None
    assert comparison.ratio.median > 0.1
    assert comparison.harness[0].overhead_us > 0


def test_what_pgbench_cannot_run_is_known_before_anything_is_measured(run: Run) -> None:
    with pytest.raises(ToolError, match=r'relation "nowhere" does not exist.*--pgbench'):
        Pgbench.checked(Mix.of(replace(MART, sql="select 1 from nowhere where 1 = $1")), run)
    with pytest.raises(ToolError, match="whole pipelines"):
        Pgbench.checked(Mix.of(MART), replace(run, driver="psycopg-pipeline", rate=10))


def test_a_comparison_with_failures_is_left_out(run: Run) -> None:
    # One client's transaction of the check passes, the harness's later ones do not.
    text = "select 1 / (case when nextval('counted') > 60 then 0 else 1 end), $1::int"
    with connect(run.address) as connection:
        connection.execute("create sequence counted")
    comparison = compare(Pgbench.checked(Mix.of(asking(text)), run), rounds=1)
    assert (comparison.harness, comparison.ratio) == ((), None)
    assert "queries of the harness failed, first: division by zero." in comparison.note
