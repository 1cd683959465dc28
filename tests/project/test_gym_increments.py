"""The gym's increments against its rules in plain Python: any sequence of loads ends where a full refresh does."""

import random

import psycopg
import pytest

from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import ENTRIES, MEMBERS, PROSPECTS, SALES, Entity, Feed, member
from tests.project.loads import complete_in_any_order


@pytest.fixture
def feed(request: pytest.FixtureRequest, dbt: Dbt, bronze: Bronze) -> Feed:
    """A feed, of members unless a test says so, whose staging views are there."""
    entity: Entity = getattr(request, "param", MEMBERS)
    bronze.load()
    dbt.succeed("run", "--select", *entity.views)
    return Feed(bronze, entity)


def build(dbt: Dbt, entity: Entity = MEMBERS, *options: str) -> None:
    dbt.succeed("run", "--select", *entity.tables, *options)


@pytest.mark.parametrize(
    ("feed", "seed"),
    [
        (MEMBERS, 1),
        (SALES, 7),
        (PROSPECTS, 5),
        (ENTRIES, 6),
        pytest.param(MEMBERS, 2, marks=pytest.mark.slow),
        pytest.param(SALES, 9, marks=pytest.mark.slow),
    ],
    indirect=["feed"],
    ids=lambda value: value.name if isinstance(value, Entity) else str(value),
)
def test_any_sequence_of_increments_gives_what_a_full_refresh_and_the_rules_give(
    feed: Feed, dbt: Dbt, connection: psycopg.Connection, seed: int
) -> None:
    dice, entity = random.Random(seed), feed.entity
    loads: list[int] = []
    # Runs land in any order, one or two to a load, and within a run a record comes again, changed or not.
    runs = dice.sample(range(1, 9), 8)
    while runs:
        for run in [runs.pop() for _ in range(min(len(runs), dice.choice([1, 1, 2])))]:
            records = [entity.draw(dice) for _ in range(dice.randrange(1, 7))]
            feed.write(run, 1, records)
            feed.write(run, 2, [*dice.choices(records, k=2), entity.draw(dice)])
        loads += feed.load()
    for _ in complete_in_any_order(connection, loads, dice):
        build(dbt, entity)
    expected = feed.expected()
    assert all(expected.values()), "the dice left a table empty"
    assert entity.core(connection) == expected
    applied = "select load_id from ops.applied_loads where model = 'core.' || %s order by 1"
    for model in entity.tables:
        assert [row[0] for row in connection.execute(applied, [model])] == loads

    build(dbt, entity, "--full-refresh")
    assert entity.core(connection) == expected


def test_a_run_that_lands_late_overwrites_no_newer_one(feed: Feed, dbt: Dbt, connection: psycopg.Connection) -> None:
    feed.write(1, 1, [member(1, "first"), member(2, "first")])
    feed.load()
    feed.write(3, 1, [member(1, "third")])
    feed.load()
    build(dbt)
    feed.write(2, 1, [member(1, "second"), member(2, "second")])
    feed.load()
    build(dbt)
    assert [row[2] for row in MEMBERS.core(connection)["gym_members"]] == ["third", "second"]


def test_a_load_of_many_runs_read_again_brings_back_no_old_version(
    feed: Feed, dbt: Dbt, connection: psycopg.Connection
) -> None:
    feed.write(1, 1, [member(1, "first")])
    feed.write(9, 1, [member(2, "ninth")])
    feed.load()
    feed.write(3, 1, [member(1, "third")])
    feed.load()
    build(dbt)
    feed.write(5, 1, [member(2, "fifth")])
    feed.load()
    build(dbt)
    assert [row[2] for row in MEMBERS.core(connection)["gym_members"]] == ["third", "ninth"]


def test_vanished_elements_are_deleted_and_unchanged_ones_not_written(
    feed: Feed, dbt: Dbt, connection: psycopg.Connection
) -> None:
    feed.write(1, 1, [member(1, "a", memberships=[1, 2], contacts=[1, 2]), member(2, "a", memberships=[3])])
    feed.load()
    build(dbt)
    physical = "select member_membership_id, ctid, xmin::text, xmax::text from core.gym_member_memberships order by 1"
    before = connection.execute(physical).fetchall()
    feed.write(2, 1, [member(1, "a", memberships=[2], contacts=[]), member(2, "a", memberships=[3])])
    feed.load()
    build(dbt)
    assert connection.execute(physical).fetchall() == before[1:]
    assert MEMBERS.core(connection)["gym_member_contacts"] == []


def test_an_empty_run_deletes_nothing(feed: Feed, dbt: Dbt, connection: psycopg.Connection) -> None:
    feed.write(1, 1, [member(1, "a", memberships=[1], contacts=[1])])
    feed.load()
    build(dbt)
    before = MEMBERS.core(connection)
    feed.write(2, 1, [member(1, "b")])
    feed.load()
    build(dbt, MEMBERS, "--empty")
    assert MEMBERS.core(connection) == before
    build(dbt)
    assert MEMBERS.core(connection) == feed.expected()


def test_an_element_that_moved_and_vanished_between_two_builds_is_deleted(
    feed: Feed, dbt: Dbt, connection: psycopg.Connection
) -> None:
    feed.write(1, 1, [member(1, "a"), member(2, "a", memberships=[5, 6])])
    feed.load()
    build(dbt)
    # Member 2 is not delivered again: only the element's own last mention says that it is gone.
    feed.write(2, 1, [member(1, "b", memberships=[5])])
    feed.write(3, 1, [member(1, "c")])
    feed.load()
    build(dbt)
    assert MEMBERS.core(connection) == feed.expected()
    assert [row[0] for row in MEMBERS.core(connection)["gym_member_memberships"]] == [6]


def test_the_reconciliation_holds_where_an_element_moves(feed: Feed, dbt: Dbt, connection: psycopg.Connection) -> None:
    """Member 2 is not delivered again, so its latest version still names the element that member 1 has now."""
    reconciliation = ["test", "--select", *(f"{table},test_name:has_the_records_landed" for table in MEMBERS.tables)]
    feed.write(1, 1, [member(1, "a"), member(2, "a", memberships=[5, 6], contacts=[1])])
    feed.load()
    build(dbt)
    feed.write(2, 1, [member(1, "b", memberships=[5])])
    feed.load()
    build(dbt)
    assert MEMBERS.core(connection) == feed.expected()
    dbt.succeed(*reconciliation)
    connection.execute("delete from core.gym_member_memberships where member_membership_id = 5")
    assert dbt.run(*reconciliation).returncode == 1
