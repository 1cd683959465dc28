"""Segments: a table's loads fill one until it has grown; what is whole is dropped, of others rows are deleted."""

import psycopg
import pytest

from loaders import ledger, segments
from tests.conftest import Project
from tests.loaders.oracle import count, ledger_agrees
from tests.loaders.people import each_once, write_people

SEGMENTS = "select first_load_id, next_load_id, retired_xid is null from ops.segments order by first_load_id"


def partitions(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'staging.people__rows'::regclass order by 1"
    )
    return [row[0] for row in rows]


def test_loads_share_a_segment(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=4, records=10)
    assert [load.load_id for load in project.load("people", batch_files=1).loads] == [1, 2, 3, 4]
    assert connection.execute(SEGMENTS).fetchall() == [(1, 5, True)]
    each_once(connection, records)


def test_a_grown_segment_is_closed(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = write_people(project, files=3, records=1000)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 50_000)
    assert [load.load_id for load in project.load("people", batch_files=1).loads] == [1, 10001, 20001]
    each_once(connection, records)
    # A full refresh needs as many; what is left of it is its own.
    report = project.load("people", full_refresh=True, batch_files=1)
    assert [load.load_id for load in report.loads] == [30001, 40001, 50001]
    assert len(partitions(connection)) == 3
    each_once(connection, records)


def test_a_segment_whose_ids_are_used_up_is_closed(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = write_people(project, files=5, records=10)
    monkeypatch.setattr(segments, "SEGMENT_LOADS", 2)
    assert [load.load_id for load in project.load("people", batch_files=1).loads] == [1, 2, 10001, 10002, 20001]
    each_once(connection, records)


def test_a_segment_is_indexed_before_its_second_load(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = write_people(project, files=3, records=1000)
    monkeypatch.setattr(segments, "INDEXED_BYTES", 150_000)
    indexed = "select count(*) from pg_indexes where indexdef like '%people__rows%USING brin (_load_id)%'"
    found = []
    for number in range(3):
        [file] = [f for f in (project.bronze / "people").iterdir() if f.name == f"00{number}.csv"]
        file.rename(project.bronze / "people" / f"ready{number}.csv")
        project.declare("people", path="people/ready*")
        project.load("people")
        found.append(count(connection, indexed))
    # Each load fills some 100 kB: the third one is the first to find more than 150.
    assert found == [0, 0, 1]
    each_once(connection, records)


def test_every_table_has_ids_of_its_own(project: Project, connection: psycopg.Connection) -> None:
    for source in ("a", "b"):
        project.declare(source)
        project.write(f"{source}/1.csv", "id\n1\n")
    assert [project.load(source).loads[0].load_id for source in ("a", "b")] == [1, 10001]
    project.write("a/2.csv", "id\n2\n")
    assert project.load("a").loads[0].load_id == 2
    assert count(connection, "select count(distinct load_id) from ops.loads") == 3


def test_discarding_a_whole_segment_drops_it(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = write_people(project, files=2, records=1000)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 50_000)
    monkeypatch.setattr(ledger, "WORTH_DROPPING_BYTES", 50_000)
    project.load("people", batch_files=1)
    table = ledger.Ledger(connection, segments.RawTable(schema="staging", name="people__rows"))
    assert table.discard(1) == 1000
    assert connection.execute(SEGMENTS).fetchall() == [(1, 2, False), (10001, 10002, True)]
    # Its rows are there until the next command, and hidden, as those of all discarded loads.
    report = project.load("people")
    assert [load.records for load in report.loads] == [1000]
    assert partitions(connection) == ["staging.people__rows__10001", "staging.people__rows__20001"]
    each_once(connection, records)


def test_a_failed_load_alone_in_its_segment_is_dropped(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.declare("people")
    project.write("people/1.csv", "id\n" + "1\n" * 200_000 + "ragged,\n")
    monkeypatch.setattr(ledger, "WORTH_DROPPING_BYTES", 0)
    assert project.load("people").problems
    assert connection.execute(SEGMENTS).fetchall() == [(1, 2, False)]
    assert project.load("people", max_rejects=1).loads[0].load_id == 10001
    assert partitions(connection) == ["staging.people__rows__10001"]
    ledger_agrees(connection, "people")


def test_discarding_a_part_deletes_its_rows(project: Project, connection: psycopg.Connection) -> None:
    write_people(project, files=2, records=10)
    project.load("people", batch_files=1)
    assert "10 rows of people.rows deleted" in project.run("discard", "1").stdout
    assert partitions(connection) == ["staging.people__rows__1"]
    assert count(connection, "select count(*) from staging.people__rows") == 10


def test_a_table_that_somebody_dropped_is_made_anew(project: Project, connection: psycopg.Connection) -> None:
    records = write_people(project, files=1, records=10)
    project.load("people")
    connection.execute("drop table staging.people__rows")
    assert project.load("people", full_refresh=True).problems == []
    each_once(connection, records)
    assert len(connection.execute(SEGMENTS).fetchall()) == 1


def test_long_names_are_cut(project: Project, connection: psycopg.Connection) -> None:
    name = "é" * 27
    project.declare(name)
    project.write(f"{name}/1.csv", "id\n1\n")
    assert project.load(name).problems == []
    assert count(connection, f'select count(*) from staging."{name}__rows"') == 1
    [(relation,)] = connection.execute("select relation_name from ops.segments").fetchall()
    assert relation == "é" * 25 + "__1"
