"""Torture: kills of loaders and of the server at random moments, and fuzzed files by the thousand.

`pytest -m slow -s tests/loaders/test_torture.py` runs all of it and prints what it did; the suite runs a short slice.
"""

import csv
import io
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from loaders.connection import connect
from tests.conftest import Project, server_of_tests
from tests.loaders.oracle import count, landed, ledger_agrees
from tests.loaders.people import each_once, kill_and_start, write_people

LOADERS = 3


def amounts(short: int, long: int) -> list[object]:
    return [short, pytest.param(long, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kills", amounts(5, 200))
def test_sigkill_of_loaders_at_random_moments(project: Project, connection: psycopg.Connection, kills: int) -> None:
    """Loaders work side by side, are killed and replaced; readers see whole loads only; in the end each row is once."""
    project.declare("people")
    project.write("people/header.csv", "id,name,filler\n")
    assert project.run("load").returncode == 0
    records = write_people(project, files=24, records=20_000)
    dice = random.Random(kills)
    running: list[subprocess.Popen[str]] = []
    killed = rounds = 0
    try:
        while killed < kills:
            while len(running) < LOADERS:
                running.append(project.start("load", "--batch-files", "2"))
            # Half of the moments are anywhere, in a start as likely as not; the others are in a load.
            if dice.random() < 0.5:
                time.sleep(dice.random() * 0.6)
            else:
                wait_for_a_load(connection)
                time.sleep(dice.random() * 0.1)
            victim = running.pop(dice.randrange(LOADERS))
            killed += kill(victim)
            assert not connection.execute(PARTLY_VISIBLE).fetchall()
            if count(connection, "select count(*) from ops.loads where status = 'complete'") >= 10:
                while running:
                    kill(running.pop())
                assert project.run("load", "--full-refresh").returncode == 0
                each_once(connection, records)
                rounds += 1
                discard = "select load_id from ops.loads where status = 'complete' and records > 0"
                for (load_id,) in connection.execute(discard).fetchall():
                    assert project.run("discard", str(load_id)).returncode == 0
    finally:
        while running:
            kill(running.pop())
    assert project.run("load").returncode == 0
    each_once(connection, records)
    undone = count(connection, "select count(*) from ops.loads where status = 'failed'")
    print(f"\n{killed} loaders killed, {undone} loads undone, {rounds + 1} times landed whole: 0 differences")


def wait_for_a_load(connection: psycopg.Connection) -> None:
    """Wait until some loader copies, or for two seconds."""
    copying = "select count(*) from pg_stat_activity where state = 'active' and query ilike 'copy%'"
    until = time.monotonic() + 2
    while time.monotonic() < until and not count(connection, copying):
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> bool:
    """SIGKILL a loader; return whether that ended it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


# A complete load of which fewer rows are there than it says.
PARTLY_VISIBLE = """
select load_id, records, count(raw._load_id)
from ops.loads
left join staging.people__rows as raw on raw._load_id = load_id
where status = 'complete'
group by load_id
having records <> count(raw._load_id)
"""


@pytest.mark.parametrize("kills", amounts(1, 3))
def test_sigkill_of_the_server_at_random_moments(tmp_path: Path, kills: int) -> None:
    (tmp_path / "data" / "bronze").mkdir(parents=True)
    with server_of_tests() as server:
        project = Project(tmp_path, server.address)
        records = write_people(project, files=6, records=100_000)
        dice = random.Random(kills)
        for _ in range(kills):
            process = project.start("load", "--batch-files", "2")
            time.sleep(0.6 + dice.random())
            kill_and_start(server)
            _, said = process.communicate(timeout=120)
            if process.returncode != 0:
                assert "Start the local server" in said, "only a loader that had not yet connected gives up"
                assert project.run("load").returncode == 0
            with connect(server.address) as connection:
                each_once(connection, records)
            assert project.run("load", "--full-refresh").returncode == 0
        with connect(server.address) as connection:
            each_once(connection, records)
        print(f"\nthe server killed {kills} times: 0 differences")


@pytest.mark.parametrize("files", amounts(150, 10_000))
def test_fuzzed_files_against_the_oracle(project: Project, connection: psycopg.Connection, files: int) -> None:
    """Files of random rows, dialects of line end and quoting, some with broken records: rows and rejects as planned."""
    dice = random.Random(files)
    project.declare("fuzz")
    expected: Counter[tuple[str, ...]] = Counter()
    broken = 0
    for number in range(files):
        rows, bad = fuzzed_rows(dice), fuzzed_breakage(dice)
        text = io.StringIO()
        line_end = dice.choice(["\n", "\r\n"])
        csv.writer(text, lineterminator=line_end, quoting=dice.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])).writerows(
            [["a", "b", "c"], *rows]
        )
        data = text.getvalue().encode() + b"".join(record + line_end.encode() for record in bad)
        # A file's own mark keeps equal contents apart, which would land once.
        mark = [f"file {number}", "", ""]
        project.write(f"fuzz/{number:05}.csv", data + ",".join(mark).encode() + line_end.encode())
        expected.update(map(tuple, [*rows, mark]))
        broken += len([record for record in bad if record])
    report = project.load("fuzz", max_rejects=2, batch_files=500)
    assert report.problems == []
    assert sum(load.rejected for load in report.loads) == broken
    assert landed(connection, "fuzz", ["a", "b", "c"]) == expected
    ledger_agrees(connection, "fuzz")
    print(f"\n{files} files, {expected.total()} rows and {broken} rejects: 0 differences")


def fuzzed_rows(dice: random.Random) -> list[list[str]]:
    alphabet = 'ab,"\n é\\.'
    return [["".join(dice.choices(alphabet, k=dice.randrange(6))) for _ in range(3)] for _ in range(dice.randrange(12))]


def fuzzed_breakage(dice: random.Random) -> list[bytes]:
    """Return records that no COPY takes, none of them in quotes."""
    kinds = [b"one", b"1,2,3,4", b"1,\xff,3", b"1,\x00,3", b""]
    return dice.choices(kinds, k=dice.choice([0, 0, 0, 1, 2]))
