"""What extract writes lands once, whole; what it does not finish never lands, whenever it is killed."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from loaders.__main__ import main
from tests.conftest import Project
from tests.loaders.extract.api import TOKEN, Answer, RestApi, times
from tests.loaders.extract.conftest import PAGES, Extractor
from tests.loaders.oracle import count, ledger_agrees

CURSOR = {"field": "updatedAt", "parameter": "updatedSince"}


@pytest.fixture
def extractor(extractor: Extractor, project: Project) -> Extractor:
    """The extractor of the project's folder."""
    extractor.declare("/pages", PAGES, cursor=CURSOR)
    extractor.bronze.mkdir(parents=True, exist_ok=True)
    return extractor


def landed(connection: psycopg.Connection) -> list[int]:
    return [row[0] for row in connection.execute("select (raw ->> 'id')::int from staging.gym__rows order by 1")]


class TestRuns:
    def test_a_run_lands_once_it_has_its_manifest(
        self, extractor: Extractor, project: Project, connection: psycopg.Connection
    ) -> None:
        run_id = extractor.run().run_id
        [manifest] = extractor.bronze.rglob("_run.json")
        text = manifest.read_text()
        manifest.unlink()
        report = project.load("gym")
        assert (report.loads, report.problems) == ([], [])
        assert [folder.rpartition("/")[2] for folder in report.unfinished] == [f"run_id={run_id}"]
        assert project.load("gym", full_refresh=True).loads == []
        # A part that the manifest lists and that is not there yet.
        manifest.write_text(json.dumps({"files": ["part-00001.jsonl.gz", "part-00002.jsonl.gz"]}))
        assert project.load("gym").loads == []
        manifest.write_text("no JSON")
        [problem] = project.load("gym").problems
        assert "_run.json is not a manifest" in str(problem)
        manifest.write_text(text)
        assert len(project.load("gym").loads) == 1
        assert landed(connection) == list(range(95))
        assert project.load("gym").loads == []
        assert len(project.load("gym", full_refresh=True).loads) == 1
        ledger_agrees(connection, "gym")

    def test_runs_of_another_program_land_as_they_are(self, extractor: Extractor, project: Project) -> None:
        project.write("gym/entity=rows/run_id=1/part.jsonl.gz", b'{"id":1}\n')
        assert len(project.load("gym").loads) == 1
        extractor.declare("/pages", PAGES, bronze={"manifest": True})
        project.write("gym/entity=rows/run_id=2/part.jsonl.gz", b'{"id":2}\n')
        report = project.load("gym")
        assert (report.loads, report.unfinished) == ([], ["gym/entity=rows/run_id=2"])
        assert "gym/entity=rows/run_id=2 is not whole yet: left alone" in project.run("load").stderr
        project.write("gym/entity=rows/run_id=2/_run.json", b'{"files": ["part.jsonl.gz"]}\n')
        assert len(project.load("gym").loads) == 1
        # Their manifests hold no cursor.
        extractor.declare("/pages", PAGES, cursor=CURSOR)
        assert extractor.run().records == 95

    def test_a_run_that_is_the_whole_table_replaces_the_one_before(
        self, extractor: Extractor, project: Project, connection: psycopg.Connection
    ) -> None:
        extractor.declare("/pages", PAGES, bronze={"delivers": "full"})
        extractor.rename(extractor.run().run_id, "20240101T000000Z")
        project.load("gym")
        extractor.api.records = extractor.api.records[:50]
        second = extractor.run()
        [manifest] = extractor.bronze.glob(f"gym/**/run_id={second.run_id}/_run.json")
        kept = manifest.rename(manifest.with_suffix(".kept"))
        assert project.load("gym").loads == []
        kept.rename(manifest)
        project.load("gym")
        is_complete = "_load_id in (select load_id from ops.loads where status = 'complete')"
        assert count(connection, f"select count(*) from staging.gym__rows where {is_complete}") == 50


class TestCommandLine:
    def test_what_it_says(self, extractor: Extractor, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(project.folder)
        extractor.api.faults.append(times(1, Answer(503, TOKEN.encode()), page="2"))
        done = CliRunner().invoke(main, ["extract", "gym", "--json", "done.json"])
        assert done.exit_code == 0, done.output
        assert "1 file, 95 records in 10 pages" in done.stdout
        assert "gym.rows: page 2: 503 Service Unavailable: trying again in " in done.stderr
        [said] = json.loads(Path("done.json").read_text())
        assert (said["records"], said["cursor"], said["retries"]) == (
            95,
            "2024-01-28T00:00:00Z",
            ["page 2: 503 Service Unavailable"],
        )
        assert TOKEN not in done.output + Path("done.json").read_text()

    def test_a_refusal_is_one_line(
        self, extractor: Extractor, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project.folder)
        extractor.api.token = "another"
        done = CliRunner().invoke(main, ["extract", "gym.rows", "--json", "done.json"])
        assert done.exit_code == 1
        [line] = done.stderr.splitlines()
        assert line.startswith("error: gym.rows: page 1: 401 Unauthorized")
        assert json.loads(Path("done.json").read_text())[0]["problem"] == line.removeprefix("error: ")

    def test_ctrl_c_leaves_nothing(self, extractor: Extractor, project: Project) -> None:
        extractor.api.delay = 0.3
        for number, (sent, code) in enumerate([(signal.SIGINT, 130), (signal.SIGTERM, 143)], 1):
            process = project.start("extract", "gym.rows")
            wait_for_requests(extractor.api, 2 * number, process)
            process.send_signal(sent)
            _, said = process.communicate(timeout=20)
            assert (process.returncode, said.strip()) == (
                code,
                "interrupted: the unfinished run does not land; the next one begins where it did",
            )
            assert [path for path in extractor.bronze.rglob("*") if path.is_file()] == []
            extractor.api.asked.clear()


def wait_for_requests(api: RestApi, asked: int, process: subprocess.Popen[Any]) -> None:
    """Wait until the API was asked so often, or the process has ended."""
    while len(api.asked) < asked and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_sigkill_at_random_moments(
    extractor: Extractor, project: Project, connection: psycopg.Connection, kills: int
) -> None:
    """The API gets new records while extract is killed and the loader looks on: in the end each has landed.

    And none of a run that was not finished: what landed is what the manifests count, run by run.
    """
    dice = random.Random(kills)
    api, killed = extractor.api, 0
    # Parts are written all along, so that a kill finds some.
    script = "import loaders.extract.run as run; run.PART_BYTES = 1; from loaders.__main__ import main; main()"
    api.delay = 0.004
    for _ in range(5 * kills):
        # Go on while every kill came after the manifest.
        if killed >= kills and unfinished(extractor):
            break
        time.sleep(1)  # a run's id is its second
        first = len(api.records)
        with api.lock:
            api.records += [
                b'{"id":%d,"updatedAt":"2024-02-01T%02d:%02d:00Z"}' % (one, one // 60 // 60 % 24, one // 60 % 60)
                for one in range(first, first + 200)
            ]
            api.asked.clear()
        process = project.start("extract", "gym.rows", script=script)
        # Some are killed while they write, the others soon after their last page, if they have not ended before.
        wait_for_requests(api, dice.randrange(1, 21), process)
        time.sleep(dice.random() * 0.1)
        process.kill()
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        killed += process.returncode == -signal.SIGKILL
        assert project.load("gym").problems == []
        check_runs(extractor, connection)
    api.delay = 0
    time.sleep(1)
    last = extractor.run()
    assert project.load("gym").problems == []
    check_runs(extractor, connection)
    assert set(landed(connection)) == set(range(len(api.records)))
    print(
        f"\n{killed} extractions killed, {unfinished(extractor)} runs unfinished, "
        f"last {last.records:,} records: none lost"
    )
    assert killed >= kills
    assert unfinished(extractor)


def unfinished(extractor: Extractor) -> int:
    began, finished = (len(list(extractor.bronze.rglob(name))) for name in ("_started.json", "_run.json"))
    return began - finished


def check_runs(extractor: Extractor, connection: psycopg.Connection) -> None:
    """See that what landed are the runs with a manifest, each with as many records as that says."""
    rows = connection.execute(
        "select files.hive_keys ->> 'run_id', count(*) from staging.gym__rows as raw "
        "inner join ops.files as files on files.file_id = raw._file_id group by 1"
    ).fetchall()
    said = [json.loads(path.read_text()) for path in extractor.bronze.rglob("_run.json")]
    assert dict(rows) == {run["run_id"]: run["records"] for run in said if run["records"]}
