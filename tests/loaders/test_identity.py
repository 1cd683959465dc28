"""What is a new delivery: a content with its hive keys, or another content at a known path; and when it came first."""

import os
from pathlib import Path

import psycopg

from tests.conftest import Project
from tests.loaders.oracle import count, landed, ledger_agrees

FILES = "select path, first_load_id, load_id from ops.files where released_at is null order by first_load_id, file_id"


def deliver(project: Project, path: str, text: str, *, modified: int) -> Path:
    file = project.write(path, f"id,word\n1,{text}\n")
    os.utime(file, (modified, modified))
    return file


def test_a_content_that_comes_back_lands_again(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed")
    for number, status in enumerate(["Active", "Inactive", "Active", "Inactive", "Active"]):
        deliver(project, "feed/now.csv", status, modified=number)
        report = project.load("feed")
        assert [load.records for load in report.loads] == [1]
        assert report.changed == (["feed/now.csv"] if number else [])
        assert project.load("feed").loads == []
    assert connection.execute(FILES).fetchall() == [("feed/now.csv", load_id, load_id) for load_id in range(1, 6)]
    ledger_agrees(connection, "feed")
    # Back to an older time of change, as `cp --preserve` leaves it.
    deliver(project, "feed/now.csv", "Inactive", modified=1)
    assert [load.records for load in project.load("feed").loads] == [1]


def test_equal_content_of_another_run_lands(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed")
    for run, status in enumerate(["Active", "Inactive", "Active"]):
        deliver(project, f"feed/run_id={run}/part.csv", status, modified=1)
        assert [load.records for load in project.load("feed").loads] == [1]
    project.write("feed/run_id=2/copy.csv", "id,word\n1,Active\n")
    assert project.load("feed").loads == []
    assert landed(connection, "feed", ["word"]) == {("Active",): 2, ("Inactive",): 1}
    ledger_agrees(connection, "feed")


def test_loaders_at_once_land_a_content_that_comes_back_once(project: Project, connection: psycopg.Connection) -> None:
    project.declare("people")
    for number, status in enumerate(["Active", "Inactive", "Active"]):
        for file in range(30):
            deliver(project, f"people/{file:02}.csv", f"{status} {file}", modified=number)
        running = [project.start("load", "--batch-files", "3") for _ in range(3)]
        for process in running:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
    assert count(connection, "select count(*) from staging.people__rows") == 90
    assert count(connection, "select count(*) from ops.files where released_at is null") == 90
    ledger_agrees(connection, "people")


def test_a_full_refresh_keeps_who_came_first(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed")
    for path in ("feed/c.csv", "feed/a.csv", "feed/b.csv"):
        deliver(project, path, path, modified=1)
        project.load("feed")
    # Delivered for the third time: it is as new as its last delivery.
    for number, status in enumerate(["other", "feed/a.csv"]):
        deliver(project, "feed/a.csv", status, modified=2 + number)
        project.load("feed")
    for _ in range(2):
        project.load("feed", full_refresh=True)
        kept = [row[:2] for row in connection.execute(FILES)]
        assert kept == [("feed/c.csv", 1), ("feed/b.csv", 3), ("feed/a.csv", 5)]
    # What came back after another content is a new delivery, though the refresh has let go of its older rows.
    deliver(project, "feed/a.csv", "other", modified=9)
    [load] = project.load("feed").loads
    path, first, load_id = connection.execute(FILES).fetchall()[-1]
    assert (path, first, load_id) == ("feed/a.csv", load.load_id, load.load_id)


def test_discarding_keeps_who_came_first(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed")
    for path in ("feed/b.csv", "feed/a.csv"):
        deliver(project, path, path, modified=1)
        project.load("feed")
    assert project.run("discard", "1").returncode == 0
    project.load("feed")
    assert connection.execute(FILES).fetchall() == [("feed/b.csv", 1, 3), ("feed/a.csv", 2, 2)]
    ledger_agrees(connection, "feed")


def test_a_failed_load_is_no_delivery(project: Project, connection: psycopg.Connection) -> None:
    project.declare("feed")
    project.write("feed/a.csv", "id,word\n1\n")
    assert project.load("feed").problems
    project.load("feed", max_rejects=1)
    assert connection.execute(FILES).fetchall() == [("feed/a.csv", 2, 2)]


def test_new_content_of_a_known_path_is_said(project: Project) -> None:
    project.declare("feed")
    deliver(project, "feed/a.csv", "x", modified=1)
    assert project.run("load").stderr == ""
    deliver(project, "feed/a.csv", "y", modified=2)
    assert project.run("load").stderr == "feed.rows: feed/a.csv has new content\n"
