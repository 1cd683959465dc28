from dataclasses import replace

import pytest

from bench.errors import QueryFailed, UnknownQuery
from bench.queries.run import Mix, Run
from bench.queries.slo import Goal, read_goal, search
from loaders.connection import connect
from tests.bench.support import asking

SERVED = "select pg_sleep(0.01), $1::int"


@pytest.mark.parametrize(
    ("text", "goal"), [("p99<10ms", (99, 10)), ("p50 < 300us", (50, 0.3)), ("p99.9<1.5 s", (99.9, 1500))]
)
def test_goals(text: str, goal: tuple[float, float]) -> None:
    assert read_goal(text) == Goal(text, *goal)


@pytest.mark.parametrize("text", ["", "99<10ms", "p99<10", "p98<10ms", "p99>10ms", "p99<1.2.3ms"])
def test_a_goal_that_cannot_be_read_shows_the_form(text: str) -> None:
    with pytest.raises(UnknownQuery, match=r'--slo "p99<10ms"'):
        read_goal(text)


def test_the_highest_rate_is_between_none_and_what_a_closed_loop_answers(run: Run) -> None:
    said: list[str] = []
    run = replace(run, seconds=0.3, connections=4)
    # Four connections of 10 ms each answer 400 a second at most: the median is near 10 ms until the queue grows.
    found, [row] = search(Mix.of(asking(SERVED)), run, Goal("p50<200ms", 50, 200), said.append)
    assert found.rate is not None
    assert found.closed_qps / 4 < found.rate < 1.2 * found.closed_qps
    assert len(said) == len(found.steps) == sum(1 for _ in found.steps)
    at_rate = [step for step in found.steps if step.rate == found.rate]
    assert [step.holds for step in at_rate].count(True) == 2
    assert len(row.rounds) == len(at_rate)


def test_a_goal_that_nothing_holds_has_no_rate(run: Run) -> None:
    slow = asking("select pg_sleep(0.002), $1::int")
    found, _ = search(Mix.of(slow), replace(run, seconds=0.1), Goal("p50<1ms", 50, 1), lambda _: None)
    assert found.rate is None
    assert not any(step.holds for step in found.steps)


def test_failing_queries_end_the_search(run: Run) -> None:
    with connect(run.address) as connection:
        connection.execute("create sequence served")
    text = "select 1 / (case when nextval('served') > 40 then 0 else 1 end), $1::int"
    with pytest.raises(QueryFailed, match="division by zero"):
        search(Mix.of(asking(text)), replace(run, seconds=0.2), Goal("p50<5ms", 50, 5), lambda _: None)
