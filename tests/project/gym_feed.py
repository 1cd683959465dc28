"""The gym's feed as its extractor leaves it, and the rules of core in plain Python.

Records have few ids, so that all sorts of collisions happen. The rules look at no load and at nothing built before:
versions are ordered by run, path and position, and a table holds what the latest version of each key says, or for
elements what the latest version of each parent still holds.
"""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import md5
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg

from tests.project.conftest import Bronze

Record = dict[str, Any]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A core table: the query that reads what the rules speak of, ordered by the key, and the rows that they demand."""

    query: str
    rows: Callable[[Sequence[Record]], list[Row]]


@dataclass(frozen=True)
class Entity:
    """An entity of the feed: how to draw a record of it, and its core tables by name."""

    name: str
    draw: Callable[[random.Random], Record]
    tables: Mapping[str, Table]

    @property
    def views(self) -> list[str]:
        """The staging views, one a core table."""
        return [name.replace("gym_", "stg_evo__", 1) for name in self.tables]

    def core(self, connection: psycopg.Connection) -> dict[str, list[Row]]:
        return {name: connection.execute(table.query).fetchall() for name, table in self.tables.items()}


@dataclass
class Feed:
    """Runs of one entity's records, written as gzipped NDJSON, and what core must hold after all of them."""

    bronze: Bronze
    entity: Entity
    parts: dict[tuple[str, str], Sequence[Record]] = field(default_factory=dict)

    def write(self, run: int, part: int, records: Sequence[Record]) -> None:
        run_id = f"202601{run:02}T030000Z"
        folder = f"evo/entity={self.entity.name}/ingestion_date=2026-01-{run:02}/run_id={run_id}"
        name = f"{folder}/part-{part:05}.jsonl.gz"
        path = self.bronze.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))
        self.parts[run_id, name] = records

    def load(self) -> list[int]:
        return [result.load_id for result in self.bronze.load(f"evo.{self.entity.name}").loads]

    def expected(self) -> dict[str, list[Row]]:
        records = [record for _, part in sorted(self.parts.items()) for record in part]
        return {name: table.rows(records) for name, table in self.entity.tables.items()}


def latest(records: Sequence[Record], key: Callable[[Record], Any]) -> dict[Any, int]:
    """Find the version, a position in `records`, of each key's latest record."""
    return {key(record): version for version, record in enumerate(records) if key(record) is not None}


def latest_records(records: Sequence[Record], key: Callable[[Record], Any]) -> Iterator[Record]:
    return (records[version] for _, version in sorted(latest(records, key).items()))


def latest_elements(
    records: Sequence[Record], parent: str, array: str, key: Callable[[Record, Record], Row]
) -> Iterator[tuple[Record, Record]]:
    """Give the parents and elements whose last mention is in a parent's latest version, ordered by `key`."""
    versions = latest(records, itemgetter(parent))
    mentions: dict[Row, tuple[int, Record, Record]] = {}
    for version, record in enumerate(records):
        for element in objects(record.get(array)):
            if None not in (record[parent], *key(record, element)):
                mentions[key(record, element)] = (version, record, element)
    for _, (version, record, element) in sorted(mentions.items()):
        if versions[record[parent]] == version:
            yield record, element


def objects(value: Any) -> list[Record]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def first_email(record: Record) -> str | None:
    emails = (
        contact["description"] for contact in objects(record.get("contacts")) if contact["contactType"] == "Email"
    )
    return next((email for email in emails if email), None)


def amount(value: Any) -> Decimal | None:
    return Decimal(str(value)) if re.fullmatch(r"-?\d{1,12}(\.\d+)?", str(value)) else None


def moment(value: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(value or "").replace(tzinfo=UTC)
    except ValueError:
        return None


def some_elements(dice: random.Random, key: str, values: Mapping[str, Sequence[Any]]) -> Any:
    """Draw an array of few elements, or what the feed has in its place now and then."""
    elements = [
        # Few numbers for all parents: an element moves from one to another, too.
        {key: dice.choice([*range(1, 15), None]), **{name: dice.choice(choice) for name, choice in values.items()}}
        for _ in range(dice.randrange(4))
    ]
    return dice.choice([elements, elements, elements, None, "none", [1, *elements]])


def without_some(dice: random.Random, record: Record, names: Sequence[str]) -> Record:
    return {name: value for name, value in record.items() if name not in names or dice.randrange(8)}


def some_member(dice: random.Random) -> Record:
    contacts = {"contactType": ["Email", "Cellphone"], "description": ["a", "b", ""]}
    record = {
        "idMember": dice.choice([*range(1, 12), None]),
        "firstName": dice.choice(["Ana", "Rui", ""]),
        "status": dice.choice(["Active", "Inactive"]),
        "contacts": some_elements(dice, "idPhone", contacts),
        "memberships": some_elements(dice, "idMemberMembership", {"membershipStatus": ["Active", "Expired"]}),
    }
    return without_some(dice, record, ["contacts", "memberships"])


def member(member_id: int, status: str, *, memberships: Sequence[int] = (), contacts: Sequence[int] = ()) -> Record:
    return {
        "idMember": member_id,
        "firstName": "Ana",
        "status": status,
        "contacts": [{"idPhone": number, "contactType": "Email", "description": "a"} for number in contacts],
        "memberships": [{"idMemberMembership": number, "membershipStatus": status} for number in memberships],
    }


def some_sale(dice: random.Random) -> Record:
    items: dict[str, list[Any]] = {"itemName": ["Towel", ""], "quantity": [1, "2.5", "some"]}
    receivables: dict[str, list[Any]] = {"ammount": [10, "10.50", "", "ten"], "status": ["Paid", "Open", ""]}
    record = {
        "idSale": dice.choice([*range(1, 12), None]),
        "totalValue": dice.choice([99, "99.90", "1e3", None]),
        "flRemoved": dice.choice([True, False, None]),
        "saleItens": some_elements(dice, "idSaleItem", items),
        "receivables": some_elements(dice, "idReceivable", receivables),
    }
    return without_some(dice, record, ["flRemoved", "saleItens", "receivables"])


def some_prospect(dice: random.Random) -> Record:
    record = {
        "idProspect": dice.choice([*range(1, 12), None]),
        "email": dice.choice(["a@example.com", "b@example.com", ""]),
        "registerDate": dice.choice(["2026-01-11T03:00:00", "2026-13-11T03:00:00", ""]),
    }
    return without_some(dice, record, ["email"])


def some_entry(dice: random.Random) -> Record:
    """Draw an entry, which has no key of its own: four values make it, and one of none of them is left out."""
    if not dice.randrange(8):
        return {"idMember": None, "idBranch": "", "device": "Gate"}
    return {
        "idMember": dice.choice([1, 2, None]),
        "idBranch": dice.choice([1, 2]),
        "entryDate": dice.choice(["2026-01-11T03:00:00", "2026-01-31T03:00:00"]),
        "registerDate": dice.choice(["2026-01-11T03:00:01", "2026-02-31T03:00:00"]),
        "device": dice.choice(["Gate", "Phone", ""]),
    }


def entry_key(record: Record) -> UUID | None:
    values = ["" if record.get(name) is None else str(record[name]) for name in ENTRY_KEY]
    return UUID(md5("|".join(values).encode(), usedforsecurity=False).hexdigest()) if any(values) else None


ENTRY_KEY = ["idMember", "idBranch", "entryDate", "registerDate"]
MEMBERS = Entity(
    "members",
    some_member,
    {
        "gym_members": Table(
            "select member_id, first_name, status, email from core.gym_members order by 1",
            lambda records: [
                (record["idMember"], record["firstName"] or None, record["status"], first_email(record))
                for record in latest_records(records, itemgetter("idMember"))
            ],
        ),
        "gym_member_contacts": Table(
            "select member_id, contact_id, description from core.gym_member_contacts order by 1, 2",
            lambda records: [
                (record["idMember"], contact["idPhone"], contact["description"] or None)
                for record, contact in latest_elements(
                    records, "idMember", "contacts", lambda record, contact: (record["idMember"], contact["idPhone"])
                )
            ],
        ),
        "gym_member_memberships": Table(
            "select member_membership_id, member_id, membership_status from core.gym_member_memberships order by 1",
            lambda records: [
                (membership["idMemberMembership"], record["idMember"], membership["membershipStatus"])
                for record, membership in latest_elements(
                    records, "idMember", "memberships", lambda _, membership: (membership["idMemberMembership"],)
                )
            ],
        ),
    },
)
SALES = Entity(
    "sales",
    some_sale,
    {
        "gym_sales": Table(
            "select sale_id, total_value, removed from core.gym_sales order by 1",
            lambda records: [
                (record["idSale"], amount(record["totalValue"]), record.get("flRemoved") is True)
                for record in latest_records(records, itemgetter("idSale"))
            ],
        ),
        "gym_sale_items": Table(
            "select sale_item_id, sale_id, item_name, quantity from core.gym_sale_items order by 1",
            lambda records: [
                (item["idSaleItem"], record["idSale"], item["itemName"] or None, amount(item["quantity"]))
                for record, item in latest_elements(
                    records, "idSale", "saleItens", lambda _, item: (item["idSaleItem"],)
                )
            ],
        ),
        "gym_receivables": Table(
            "select receivable_id, sale_id, amount, status from core.gym_receivables order by 1",
            lambda records: [
                (
                    receivable["idReceivable"],
                    record["idSale"],
                    amount(receivable["ammount"]),
                    receivable["status"] or None,
                )
                for record, receivable in latest_elements(
                    records, "idSale", "receivables", lambda _, receivable: (receivable["idReceivable"],)
                )
            ],
        ),
    },
)
PROSPECTS = Entity(
    "prospects",
    some_prospect,
    {
        "gym_prospects": Table(
            "select prospect_id, email, register_date from core.gym_prospects order by 1",
            lambda records: [
                (record["idProspect"], record.get("email") or None, moment(record["registerDate"]))
                for record in latest_records(records, itemgetter("idProspect"))
            ],
        ),
    },
)
ENTRIES = Entity(
    "entries",
    some_entry,
    {
        "gym_entries": Table(
            "select entry_id, member_id, register_date, device from core.gym_entries order by entry_id",
            lambda records: [
                (entry_key(record), record["idMember"], moment(record.get("registerDate")), record["device"] or None)
                for record in latest_records(records, entry_key)
            ],
        ),
    },
)
