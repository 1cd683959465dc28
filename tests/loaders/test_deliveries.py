"""What a delivery means: more versions, new content of its paths, or the whole table."""

import json
import threading

import psycopg
import pytest

from loaders.connection import connect
from loaders.errors import FileError
from tests.conftest import Project
from tests.loaders.oracle import ledger_agrees


def rows(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """Return what the complete loads hold."""
    return connection.execute(
        "select id, name from staging.people__rows "
        "where _load_id in (select load_id from ops.loads where status = 'complete') order by 1, 2"
    ).fetchall()


def replaces(connection: psycopg.Connection) -> list[bool]:
    return [
        row[0]
        for row in connection.execute("select replaces from ops.loads where status = 'complete' order by load_id")
    ]


class TestPartitions:
    def test_new_content_of_a_path_replaces_its_rows(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="partitions")
        project.write("people/1.csv", "id,name\n1,a\n2,b\n")
        project.write("people/2.csv", "id,name\n3,c\n")
        project.load("people")
        project.write("people/1.csv", "id,name\n1,changed\n")
        report = project.load("people")
        assert (report.problems, report.replaced) == ([], 1)
        assert rows(connection) == [("1", "changed"), ("3", "c")]
        assert replaces(connection) == [False, True]
        ledger_agrees(connection, "people")
        # The old content again is new.
        project.write("people/1.csv", "id,name\n1,a\n2,b\n")
        project.load("people")
        assert rows(connection) == [("1", "a"), ("2", "b"), ("3", "c")]

    def test_a_failed_file_leaves_the_old_rows(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="partitions")
        project.write("people/1.csv", "id,name\n1,a\n")
        project.write("people/2.csv", "id,name\n2,b\n")
        project.load("people")
        project.write("people/1.csv", "id,name\n1,changed\n")
        project.write("people/2.csv", "id,name\n2,b,too many\n")
        assert project.load("people").problems != []
        assert rows(connection) == [("1", "a"), ("2", "b")]

    def test_what_is_gone_from_bronze_goes_when_it_is_asked_for(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        project.declare("people", delivers="partitions")
        gone = project.write("people/1.csv", "id,name\n1,a\n")
        left = project.write("people/2.csv", "id,name\n2,b\n")
        project.load("people")
        gone.unlink()
        assert project.load("people").removed == 0
        assert project.load("people", remove_missing=True).removed == 1
        assert rows(connection) == [("2", "b")]
        assert replaces(connection) == [False, True]
        ledger_agrees(connection, "people")
        assert project.load("people", remove_missing=True).removed == 0
        left.unlink()
        assert "bronze holds no file at all" in str(project.load("people", remove_missing=True).problems[0])
        assert rows(connection) == [("2", "b")]

    def test_readers_see_the_old_rows_or_the_new_ones(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="partitions")
        project.write("people/1.csv", "id,name\n" + "".join(f"{number},a\n" for number in range(1000)))
        project.load("people")
        seen: set[int] = set()
        stop = threading.Event()

        def read() -> None:
            with connect(project.address) as reader:
                while not stop.is_set():
                    seen.add(len(rows(reader)))

        thread = threading.Thread(target=read)
        thread.start()
        for version in range(5):
            project.write("people/1.csv", "id,name\n" + "".join(f"{number},{version}\n" for number in range(1000)))
            project.load("people")
        stop.set()
        thread.join()
        assert seen == {1000}


class TestFull:
    def write_run(self, project: Project, run: str, *names: str) -> None:
        for name in names:
            project.write(f"people/run_id={run}/{name}.csv", f"id,name\n{name},{run}\n")

    def test_the_newest_run_is_the_whole_table(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="full")
        self.write_run(project, "1", "a", "b")
        project.load("people")
        self.write_run(project, "2", "a")
        report = project.load("people")
        assert (report.problems, report.replaced) == ([], 2)
        assert rows(connection) == [("a", "2")]
        assert replaces(connection) == [True]
        # One that lands late is not the newest, and nothing new changes nothing.
        self.write_run(project, "11", "x")
        assert project.load("people").loads == []
        assert rows(connection) == [("a", "2")]
        ledger_agrees(connection, "people")

    def test_a_run_that_goes_on_is_landed_whole(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="full")
        self.write_run(project, "1", "a")
        project.load("people")
        self.write_run(project, "1", "b")
        project.load("people")
        assert rows(connection) == [("a", "1"), ("b", "1")]

    def test_a_failed_file_leaves_the_old_run(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="full")
        self.write_run(project, "1", "a")
        project.load("people")
        self.write_run(project, "2", "a")
        project.write("people/run_id=2/b.csv", "id,name\nb\n")
        assert project.load("people").problems != []
        assert rows(connection) == [("a", "1")]

    def test_one_file_a_delivery(self, project: Project, connection: psycopg.Connection) -> None:
        project.declare("people", delivers="full")
        for day in ("2026-01-01", "2026-01-02"):
            project.write(f"people/{day}.csv", f"id,name\n1,{day}\n")
            project.load("people")
            assert rows(connection) == [("1", day)]

    def test_a_run_counts_once_its_manifest_and_its_files_are_there(
        self, project: Project, connection: psycopg.Connection
    ) -> None:
        project.declare("people", delivers="full", manifest=True, path="people/*/*.csv")
        self.write_run(project, "1", "a")
        assert project.load("people").loads == []
        manifest = json.dumps({"files": ["a.csv", "b.csv"]})
        project.write("people/run_id=1/_run.json", manifest)
        assert project.load("people").loads == []
        self.write_run(project, "1", "b")
        assert len(project.load("people").loads) == 1
        assert rows(connection) == [("a", "1"), ("b", "1")]
        project.write("people/run_id=2/_run.json", "no JSON")
        self.write_run(project, "2", "a")
        with pytest.raises(FileError, match=r"run_id=2/_run\.json is not a manifest"):
            project.load("people")
        assert rows(connection) == [("a", "1"), ("b", "1")]
