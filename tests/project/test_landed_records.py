"""The test has_the_records_landed: it passes for what the rules allow, and fails for each way to be wrong."""

from typing import Any

import psycopg
import pytest

from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Feed, Record

MODEL = "gym_member_memberships"
TEST = ["test", "--select", f"test_name:has_the_records_landed,{MODEL}"]


@pytest.fixture
def feed(dbt: Dbt, bronze: Bronze) -> Feed:
    """Two members, built, with memberships 1 and 2 of the one and 3 of the other."""
    feed = Feed(bronze, MEMBERS)
    feed.write(1, 1, [member(1, 1, 2), member(2, 3)])
    feed.load()
    dbt.succeed("run", "--select", *MEMBERS.views, MODEL)
    return feed


def member(member_id: int, *memberships: int) -> Record:
    elements: list[dict[str, Any]] = [{"idMemberMembership": number} for number in memberships]
    return {"idMember": member_id, "memberships": elements}


def build_and_test(dbt: Dbt, feed: Feed) -> None:
    feed.load()
    dbt.succeed("run", "--select", MODEL)
    dbt.succeed(*TEST)


def test_an_element_can_move_though_its_old_parent_is_not_delivered(feed: Feed, dbt: Dbt) -> None:
    feed.write(2, 1, [member(2, 2, 3)])
    build_and_test(dbt, feed)


def test_an_element_that_moved_and_vanished_has_no_row(feed: Feed, dbt: Dbt) -> None:
    feed.write(2, 1, [member(2, 2, 3)])
    feed.write(3, 1, [member(2)])
    build_and_test(dbt, feed)


def test_what_is_not_applied_is_not_asked_for(feed: Feed, dbt: Dbt) -> None:
    feed.write(2, 1, [member(3, 9)])
    feed.load()
    dbt.succeed(*TEST)


@pytest.mark.parametrize(
    "change",
    [
        "delete from core.gym_member_memberships where member_membership_id = 1",
        "insert into core.gym_member_memberships (member_id, member_membership_id) values (2, 7)",
        pytest.param(
            "update core.gym_member_memberships set member_membership_id = 7 where member_membership_id = 1",
            marks=pytest.mark.one_server("the key says which shard a row is of, and does not change"),
        ),
        "update core.gym_member_memberships set member_id = 2 where member_membership_id = 1",
    ],
    ids=["missing", "surplus", "another key", "another parent"],
)
def test_a_table_that_differs_fails(feed: Feed, dbt: Dbt, connection: psycopg.Connection, change: str) -> None:
    assert connection.execute(change).rowcount == 1
    assert dbt.run(*TEST).returncode == 1
