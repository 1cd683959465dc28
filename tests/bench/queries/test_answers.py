from dataclasses import replace
from decimal import Decimal

import pytest
import uvloop

from bench.errors import AnswersDiffer, ProjectError
from bench.queries.answers import check_answers, first_difference
from bench.queries.benchmarks import Benchmark
from bench.queries.measure import measure
from bench.queries.run import Run
from tests.bench.support import AGE, LAYERS, MART, SERVER_DRIVERS


def test_layers_that_agree_are_counted(counted: Run) -> None:
    assert uvloop.run(check_answers(LAYERS, counted)) == 88
    assert uvloop.run(check_answers([MART], counted)) == 0


def test_slow_answers_are_compared_for_a_time_the_low_middle_and_high_ones_first(counted: Run) -> None:
    for connections, compared in ((3, 2 * 3), (1, 2 * 1)):
        asked = replace(counted, most_seconds=1e-9, connections=connections)
        assert uvloop.run(check_answers(LAYERS, asked)) == compared
    wrong = replace(MART, name="wrong", sql="select older_count + ($1 = 65)::int from people_older_than where age = $1")
    with pytest.raises(AnswersDiffer, match="With age = 65"):
        uvloop.run(check_answers([MART, wrong], replace(counted, most_seconds=1e-9, connections=3)))


def test_layers_that_differ_name_query_argument_and_answers(counted: Run) -> None:
    text = "select older_count + ($1 = 40)::int from people_older_than where age = $1"
    wrong = replace(MART, name="wrong", sql=text)
    with pytest.raises(AnswersDiffer, match=r"With age = 40, older_mart answers \d+ and wrong answers \d+ in row 1\."):
        uvloop.run(check_answers([MART, wrong], counted))


def test_layers_with_other_parameters_are_refused(counted: Run) -> None:
    other = replace(MART, name="other", parameters=(replace(AGE, values=range(22, 61)),))
    with pytest.raises(ProjectError, match="other and older_mart differ in their parameters"):
        uvloop.run(check_answers([MART, other], counted))


def test_answers_are_compared_whole() -> None:
    assert first_difference([(1, "a"), (2, None)], [(1, "a"), (2, None)]) is None
    assert first_difference([(Decimal("1.50"), 0.5)], [(1.5, Decimal("0.500"))]) is None
    assert first_difference([(float("nan"),)], [(Decimal("nan"),)]) is None
    assert first_difference([(1,), (2,)], [(1,)]) == (2, ((2,), None))
    assert first_difference([(1, 2)], [(1, 3)]) == (1, ((1, 2), (1, 3)))
    assert first_difference([("1",)], [(1,)]) == (1, (("1",), (1,)))
    assert first_difference([(1,)], [(Decimal(1),)]) == (1, ((1,), (Decimal(1),)))
    assert first_difference([], []) is None


def test_layers_are_compared_in_every_row(counted: Run) -> None:
    text = "select age, older_count + (age = 30)::int from people_older_than where $1 > 0 order by age"
    right = replace(MART, sql=text.replace(" + (age = 30)::int", ""))
    with pytest.raises(
        AnswersDiffer, match=r"older_mart answers \(30, \d+\) and wrong answers \(30, \d+\) in row 31\."
    ):
        uvloop.run(check_answers([right, replace(MART, name="wrong", sql=text)], counted))


def test_queries_without_parameters_are_asked_and_compared(counted: Run) -> None:
    none = Benchmark("none", "all", "core", "select count(*) from people", ())
    assert uvloop.run(check_answers([none, replace(none, layer="mart")], counted)) == 1
    for driver in SERVER_DRIVERS:
        (row,) = measure(none, [5], replace(counted, driver=driver))
        assert (row.done, row.errors) == (5, 0)
