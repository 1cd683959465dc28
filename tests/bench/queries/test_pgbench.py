from dataclasses import replace

import pytest

from bench.errors import ToolError
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.pgbench import compare, pgbench_program, run_pgbench, scripts_of
from bench.queries.run import Mix, Run
from tests.bench.support import AGE, MART


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
    turn = run_pgbench(pgbench_program(run.address), Mix((echo, MART), (1, 3)), replace(run, driver="psycopg-pipeline"))
    assert turn.qps > 0
    assert turn.overhead_us > 0


def test_pgbench_runs_beside_the_harness(run: Run) -> None:
    comparison = compare(Mix.of(MART), run, rounds=1)
    assert len(comparison.pgbench) == len(comparison.harness) == 1
    # Far below the target, which a busy machine would miss; a harness that has become slow still fails here.
    assert comparison.ratio.median > 0.1
    assert comparison.harness[0].overhead_us > 0
