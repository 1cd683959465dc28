"""The gym's increments against a plain model of its rules: newest version by run, elements of the latest version."""

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from tests.project.conftest import Bronze, Dbt
from tests.project.test_increments import complete

Record = dict[str, Any]
MODELS = ["gym_members", "gym_member_contacts", "gym_member_memberships"]
ROWS = {
    "gym_members": "select member_id, first_name, status, email from core.gym_members order by 1",
    "gym_member_contacts": "select member_id, contact_id, description from core.gym_member_contacts order by 1, 2",
    "gym_member_memberships": """
        select member_membership_id, member_id, membership_status from core.gym_member_memberships order by 1
    """,
}


@dataclass
class Feed:
    """Runs of members' records, written as the extractor leaves them, and the rules applied to all that was written."""

    bronze: Bronze
    parts: dict[tuple[str, str], Sequence[Record]] = field(default_factory=dict)

    def write(self, run: int, part: int, records: Sequence[Record]) -> None:
        run_id = f"202601{run:02}T030000Z"
        name = f"evo/entity=members/ingestion_date=2026-01-{run:02}/run_id={run_id}/part-{part:05}.jsonl.gz"
        path = self.bronze.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))
        self.parts[run_id, name] = records

    def load(self) -> list[int]:
        return [result.load_id for result in self.bronze.load("evo.members").loads]

    def expected(self) -> dict[str, list[tuple[Any, ...]]]:
        """Say what core must hold: nothing here looks at loads, or at what was built before."""
        latest: dict[int, int] = {}
        mentions: dict[str, dict[Any, tuple[int, int, Record]]] = {"contacts": {}, "memberships": {}}
        records = [record for _, part in sorted(self.parts.items()) for record in part]
        for version, record in enumerate(records):
            member_id = record["idMember"]
            if member_id is None:
                continue
            latest[member_id] = version
            for contact in objects(record.get("contacts")):
                if contact["idPhone"] is not None:
                    mentions["contacts"][member_id, contact["idPhone"]] = (version, member_id, contact)
            for membership in objects(record.get("memberships")):
                mentions["memberships"][membership["idMemberMembership"]] = (version, member_id, membership)
        return {
            "gym_members": [
                (member_id, record["firstName"] or None, record["status"], first_email(record))
                for member_id, version in sorted(latest.items())
                for record in [records[version]]
            ],
            "gym_member_contacts": [
                (*key, contact["description"] or None)
                for key, (version, member_id, contact) in sorted(mentions["contacts"].items())
                if latest[member_id] == version
            ],
            "gym_member_memberships": [
                (key, member_id, membership["membershipStatus"])
                for key, (version, member_id, membership) in sorted(mentions["memberships"].items())
                if latest[member_id] == version
            ],
        }


def objects(value: Any) -> list[Record]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def first_email(record: Record) -> str | None:
    emails = (
        contact["description"] for contact in objects(record.get("contacts")) if contact["contactType"] == "Email"
    )
    return next((email for email in emails if email), None)


def some_member(dice: random.Random) -> Record:
    """Draw a record of few members with few elements, so that all sorts of collisions happen."""
    contacts: Any = [
        {
            "idPhone": dice.choice([1, 2, 3, None]),
            "contactType": dice.choice(["Email", "Cellphone"]),
            "description": dice.choice(["a", "b", ""]),
        }
        for _ in range(dice.randrange(4))
    ]
    memberships = [
        # Few numbers for all members: a membership moves from one to another, too.
        {"idMemberMembership": dice.randrange(1, 15), "membershipStatus": dice.choice(["Active", "Expired"])}
        for _ in range(dice.randrange(3))
    ]
    record = {
        "idMember": dice.choice([*range(1, 12), None]),
        "firstName": dice.choice(["Ana", "Rui", ""]),
        "status": dice.choice(["Active", "Inactive"]),
        "contacts": dice.choice([contacts, contacts, contacts, None, "none", [1, *contacts]]),
        "memberships": memberships,
    }
    return record if dice.randrange(8) else {key: value for key, value in record.items() if key != "memberships"}


def core(connection: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {model: connection.execute(query).fetchall() for model, query in ROWS.items()}


def build(dbt: Dbt, *options: str) -> None:
    dbt.succeed("run", "--select", *MODELS, *options)


@pytest.fixture
def dbt(dbt: Dbt, parsed: Manifest) -> Dbt:
    dbt.manifest = parsed
    return dbt


@pytest.fixture
def feed(dbt: Dbt, bronze: Bronze) -> Feed:
    """A feed whose staging views are there."""
    bronze.load("evo.members")
    dbt.succeed(
        "run", "--select", *(f"stg_evo__{name}" for name in ("members", "member_contacts", "member_memberships"))
    )
    return Feed(bronze)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_sequence_of_increments_gives_what_a_full_refresh_and_the_rules_give(
    feed: Feed, dbt: Dbt, connection: psycopg.Connection, seed: int
) -> None:
    dice = random.Random(seed)
    loads: list[int] = []
    # Runs land in any order, one or two to a load, and within a run a record comes again, changed or not.
    runs = dice.sample(range(1, 9), 8)
    while runs:
        for run in [runs.pop() for _ in range(min(len(runs), dice.choice([1, 1, 2])))]:
            records = [some_member(dice) for _ in range(dice.randrange(1, 7))]
            feed.write(run, 1, records)
            feed.write(run, 2, [*dice.choices(records, k=2), some_member(dice)])
        loads += feed.load()
    for load_id in loads:
        complete(connection, load_id, is_complete=False)
    order = dice.sample(loads, len(loads))
    while order:
        for _ in range(dice.randrange(1, 3)):
            if order:
                complete(connection, order.pop(), is_complete=True)
        build(dbt)
    expected = feed.expected()
    assert core(connection) == expected
    applied = "select load_id from ops.applied_loads where model = 'core.' || %s order by 1"
    for model in MODELS:
        assert [row[0] for row in connection.execute(applied, [model])] == loads

    build(dbt, "--full-refresh")
    assert core(connection) == expected


def member(member_id: int, status: str, *, memberships: Sequence[int] = (), contacts: Sequence[int] = ()) -> Record:
    return {
        "idMember": member_id,
        "firstName": "Ana",
        "status": status,
        "contacts": [{"idPhone": number, "contactType": "Email", "description": "a"} for number in contacts],
        "memberships": [{"idMemberMembership": number, "membershipStatus": status} for number in memberships],
    }


def test_a_run_that_lands_late_overwrites_no_newer_one(feed: Feed, dbt: Dbt, connection: psycopg.Connection) -> None:
    feed.write(1, 1, [member(1, "first"), member(2, "first")])
    feed.load()
    feed.write(3, 1, [member(1, "third")])
    feed.load()
    build(dbt)
    feed.write(2, 1, [member(1, "second"), member(2, "second")])
    feed.load()
    build(dbt)
    assert [row[2] for row in core(connection)["gym_members"]] == ["third", "second"]


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
    assert [row[2] for row in core(connection)["gym_members"]] == ["third", "ninth"]


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
    assert core(connection)["gym_member_contacts"] == []


def test_an_empty_run_deletes_nothing(feed: Feed, dbt: Dbt, connection: psycopg.Connection) -> None:
    feed.write(1, 1, [member(1, "a", memberships=[1], contacts=[1])])
    feed.load()
    build(dbt)
    before = core(connection)
    feed.write(2, 1, [member(1, "b")])
    feed.load()
    build(dbt, "--empty")
    assert core(connection) == before
    build(dbt)
    assert core(connection) == feed.expected()


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
    assert core(connection) == feed.expected()
    assert [row[0] for row in core(connection)["gym_member_memberships"]] == [6]
