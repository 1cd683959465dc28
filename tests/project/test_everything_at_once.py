"""Loaders, builds, refreshes, readers, pg_dump and killed sessions at once: nothing stale, nothing lost, nobody waits.

`pytest -m slow -s tests/project/test_everything_at_once.py` runs ten minutes of it and prints what it did; the
suite runs a short slice.
"""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.conftest import REPOSITORY
from tests.processes import free_port
from tests.project.conftest import PEOPLE_HEADER, Bronze, Dbt
from tests.project.gym_feed import MEMBERS, Feed, some_member

SOURCES = ("people.persons", "evo.members")
MODELS = ("people", "people_older_than", *MEMBERS.tables)
PERSONS = 230
# A reader's wait of this long is a line in the server's log.
LONGEST_WAIT = "100ms"
LONGEST_DUMP_WAIT_MS = 10_000
# What may end a run here: a session that was terminated, a load that went away under a build, a table taken by another
# loader, a lock that was not free in time.
EXPECTED_FAILURES = (
    "terminating connection due to administrator command",
    "server closed the connection unexpectedly",
    "the connection is closed",
    "connection is lost",
    "connection already closed",
    "not complete any more",
    "another loader is at work",
)
# Each person's latest version: of the content that landed last, counted by when it landed first.
LATEST_PERSONS = """
    select distinct on (id) id::bigint, name
    from staging.people__persons
    inner join ops.loads on loads.load_id = _load_id and status = 'complete'
    inner join ops.files on files.file_id = _file_id
    order by id, first_load_id desc, path collate "C" desc
"""
# A complete load of which another number of rows is there than it says.
PARTLY_VISIBLE = """
    select load_id, records, count(raw._load_id)
    from ops.loads
    left join staging.{table} as raw on raw._load_id = load_id
    where status = 'complete' and table_name = '{table}'
    group by load_id
    having records <> count(raw._load_id)
"""


@dataclass
class Scene:
    """What all actors share; `counts` says how often what happened, `unexpected` what should not have."""

    server: LocalServer
    administrator: Address
    bronze: Bronze
    feed: Feed
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    loaders: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> Address:
        return self.bronze.address

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.address.environment | {"BRONZE_ROOT": str(self.bronze.root)}

    def judge(self, actor: str, said: str, *, succeeded: bool) -> None:
        """Count how a run ended, and keep what it said where that is no failure that terminations explain."""
        if succeeded:
            self.counts[f"{actor}: done"] += 1
        elif any(words in said for words in EXPECTED_FAILURES):
            self.counts[f"{actor}: failed as it should"] += 1
        else:
            self.unexpected.append(f"{actor}: {errors_of(said)}")


def errors_of(said: str) -> str:
    """Return what a command said at its end: dbt repeats there what went wrong."""
    return said[said.rfind("Completed with") :] if "Completed with" in said else said[-2000:]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    server = LocalServer(tmp_path / "server" / ".pgdata", Address(port=free_port()))
    server.up()
    try:
        administrator = getattr(server, "superuser_address", server.address)
        with connect(administrator) as connection:
            for setting in (f"deadlock_timeout = '{LONGEST_WAIT}'", "log_lock_waits = on"):
                connection.execute(f"alter system set {setting}".encode())
            connection.execute("select pg_reload_conf()")
        (tmp_path / "bronze").mkdir()
        bronze = Bronze(tmp_path / "bronze", server.address)
        yield Scene(server, administrator, bronze, Feed(bronze, MEMBERS), tmp_path)
    finally:
        server.remove()


def write_file(path: Path, content: bytes) -> None:
    """Write a file that appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.rename(path)


def write_persons(scene: Scene, dice: random.Random, number: int) -> None:
    """Write new versions of some persons; the names of files do not sort by time."""
    keys = dice.sample(range(1, PERSONS + 1), 20)
    lines = [f"{key},Version {number},30,true,Lima,Lima,Peru\n" for key in keys]
    name = f"{dice.randrange(1000):03}-{number}.csv"
    write_file(scene.bronze.root / "people" / name, (PEOPLE_HEADER + "".join(lines)).encode())


def write_members(scene: Scene, dice: random.Random, number: int) -> None:
    """Write a run, whose place among the runs is not that of its delivery."""
    run_id = f"2026{dice.randrange(1000):03}-{number:06}"
    name = f"evo/entity=members/ingestion_date=2026-01-11/run_id={run_id}/part-00001.jsonl.gz"
    records = [some_member(dice) for _ in range(8)]
    scene.feed.parts[run_id, name] = records
    write_file(scene.bronze.root / name, gzip.compress("".join(json.dumps(one) + "\n" for one in records).encode()))


def keep_writing(scene: Scene) -> None:
    dice = random.Random(1)
    number = 1000
    while not scene.stop.wait(dice.random() * 0.6):
        number += 1
        write_persons(scene, dice, number)
        write_members(scene, dice, number)
        scene.counts["files written"] += 2


def keep_loading(scene: Scene, pause: float, *arguments: str) -> None:
    """Run the loader again and again, each time in a process of its own."""
    actor = " ".join(["load", *arguments])
    dice = random.Random(actor)
    while not scene.stop.wait(dice.random() * pause):
        process = subprocess.Popen(
            [sys.executable, "-m", "loaders", "load", *arguments],
            cwd=REPOSITORY,
            env=scene.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        scene.loaders.append(process)
        _, said = process.communicate()
        scene.loaders.remove(process)
        if process.returncode == -signal.SIGKILL:
            scene.counts[f"{actor}: killed"] += 1
        else:
            scene.judge(actor, said, succeeded=process.returncode == 0)


def keep_building(scene: Scene, number: int, *options: str) -> None:
    """Run dbt again and again, in one process that parses once."""
    command = ["run", *options, "--select", *MODELS]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.project.dbt_loop", str(scene.folder / f"dbt-{number}"), *command],
        cwd=REPOSITORY,
        env=scene.environment | {"PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked = process.stdin
        threading.Thread(target=lambda: (scene.stop.wait(), asked.close()), daemon=True).start()
        for line in process.stdout:
            if line.startswith("{"):
                result = json.loads(line)
                scene.judge(" ".join(["dbt run", *options]), result["said"], succeeded=result["success"])


def keep_terminating(scene: Scene) -> None:
    """End a session of the loader or of dbt now and then, and now and then kill a whole loader."""
    dice = random.Random(2)
    with connect(scene.administrator, application_name="terminator") as connection:
        while not scene.stop.wait(0.5 + dice.random() * 3):
            if dice.random() < 0.2 and (running := list(scene.loaders)):
                dice.choice(running).kill()
                continue
            rows = connection.execute(
                "select pid from pg_stat_activity "
                "where datname = %s and (application_name like 'ingot%%' or application_name = 'dbt')",
                [scene.address.database],
            ).fetchall()
            if rows:
                connection.execute("select pg_terminate_backend(%s)", dice.choice(rows))
                scene.counts["sessions terminated"] += 1


def keep_reading(scene: Scene, query: str) -> None:
    """Ask for a count that can only grow; one in four times by a snapshot that is older than the question."""
    dice = random.Random(query)
    seen = 0
    with connect(scene.address, application_name="reader") as connection:
        while not scene.stop.wait(dice.random() * 0.05):
            if dice.random() < 0.25:
                connection.execute("begin isolation level repeatable read")
                connection.execute("select 1 from ops.loads limit 1")
                scene.stop.wait(dice.random())
            [[found]] = connection.execute(query.encode()).fetchall()
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("commit")
            if found < seen:
                scene.unexpected.append(f"{query}: {found} after {seen}")
            seen = max(seen, found)
            scene.counts["answers read"] += 1


def keep_dumping(scene: Scene) -> None:
    """Dump the database, restore the dump beside it, and see that core and staging are whole in it."""
    environment = os.environ | scene.administrator.environment | {"PGDATABASE": scene.address.database}
    dump = scene.folder / "dump"
    while not scene.stop.wait(0.5):
        with connect(scene.address, application_name="dump check") as connection:
            least = connection.execute("select count(*) from core.people").fetchall()[0][0]
        dumped = subprocess.run(
            [scene.server.binaries / "pg_dump", "--format=custom", f"--file={dump}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if dumped.returncode != 0:
            gone = re.search(r"does not exist|could not open relation|cache lookup failed", dumped.stderr)
            scene.counts["dumps of which a table went away" if gone else "dumps failed"] += 1
            if not gone:
                scene.unexpected.append(f"pg_dump: {dumped.stderr}")
            continue
        check_dump(scene, dump, environment, least)
        scene.counts["dumps restored"] += 1


def check_dump(scene: Scene, dump: Path, environment: dict[str, str], least: int) -> None:
    restored = replace(scene.administrator, database="restored")
    with connect(scene.administrator) as connection:
        connection.execute("drop database if exists restored with (force)")
        connection.execute("create database restored template template0")
    done = subprocess.run(
        [scene.server.binaries / "pg_restore", "--exit-on-error", "--dbname=restored", dump],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        scene.unexpected.append(f"pg_restore: {done.stderr}")
        return
    with connect(restored) as connection:
        found = connection.execute("select count(*) from core.people").fetchall()[0][0]
        if found < least:
            scene.unexpected.append(f"a dump holds {found} persons, core had {least}")
        for table in ("people__persons", "evo__members"):
            if torn := connection.execute(PARTLY_VISIBLE.format(table=table).encode()).fetchall():
                scene.unexpected.append(f"a dump holds loads of {table} in part: {torn}")


def check_waits(scene: Scene) -> None:
    """Read the server's log: no line of a reader, and no long wait of pg_dump."""
    longest = 0.0
    for line in scene.server.log.read_text(errors="replace").splitlines():
        waited = re.search(r"\] (.*?) LOG: .*(?:still waiting for|acquired) \w+ .* after ([0-9.]+) ms", line)
        if waited and waited[1] in ("reader", "dump check"):
            scene.unexpected.append(f"a reader waited: {line}")
        if waited and waited[1] == "pg_dump":
            longest = max(longest, float(waited[2]))
    scene.counts["pg_dump's longest wait for a lock, ms"] = round(longest)
    assert longest <= LONGEST_DUMP_WAIT_MS


@pytest.mark.parametrize("seconds", [12, pytest.param(600, marks=pytest.mark.slow)])
def test_everything_at_once(scene: Scene, dbt_folder: Path, seconds: int) -> None:
    if seconds < 60:  # beside the rest of the suite, on as many cores: only a wait that is no matter of load counts
        with connect(scene.administrator) as connection:
            connection.execute("alter system set deadlock_timeout = '3s'")
            connection.execute("select pg_reload_conf()")
    for number in range(12):
        write_persons(scene, random.Random(number), number)
        write_members(scene, random.Random(number), number)
    dbt = Dbt(scene.address, dbt_folder)
    scene.bronze.load()
    dbt.succeed("run", "--select", "source:people+", "source:evo.members+")
    with connect(scene.address) as connection:
        connection.execute("create schema other")
        connection.execute(
            "create view other.persons_and_members as select person_id, member_id "
            "from core.people left join core.gym_members on member_id = person_id"
        )

    actors: list[Callable[[], None]] = [
        lambda: keep_writing(scene),
        lambda: keep_loading(scene, 1, *SOURCES, "--batch-files", "3"),
        lambda: keep_loading(scene, 1, *SOURCES, "--workers", "1"),
        lambda: keep_loading(scene, 2, SOURCES[0], "--full-refresh"),
        lambda: keep_building(scene, 1),
        lambda: keep_building(scene, 2),
        lambda: keep_building(scene, 3, "--full-refresh"),
        lambda: keep_reading(scene, "select count(*) from core.people"),
        lambda: keep_reading(scene, "select count(distinct person_id) from staging.stg_people__persons"),
        lambda: keep_reading(scene, "select count(*) from other.persons_and_members"),
        lambda: keep_reading(scene, "select max(older_count) from marts.people_older_than"),
        lambda: keep_dumping(scene),
        lambda: keep_terminating(scene),
    ]
    threads = [threading.Thread(target=act, args=(scene, actor)) for actor in actors]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    scene.stop.set()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()

    check_waits(scene)
    scene.bronze.load_all()
    dbt.succeed("run", "--select", *MODELS)
    check_core(scene)
    dbt.succeed("run", "--full-refresh", "--select", *MODELS)
    check_core(scene)
    print("\n" + "\n".join(f"{what}: {times}" for what, times in sorted(scene.counts.items())))
    print("\n".join(what[:2000] for what in scene.unexpected))
    assert not scene.unexpected, f"{len(scene.unexpected)} things that should not have happened"


def act(scene: Scene, actor: Callable[[], None]) -> None:
    try:
        actor()
    except BaseException as error:
        scene.unexpected.append(repr(error))
        raise


def check_core(scene: Scene) -> None:
    """Compare core with the rules: persons with the ledger's order in SQL, members with the rules in Python."""
    with connect(scene.address) as connection:
        persons = dict(connection.execute("select person_id, name from core.people").fetchall())
        expected = dict(connection.execute(LATEST_PERSONS).fetchall())
        assert persons == expected, "keys are stale or lost"
        assert MEMBERS.core(connection) == scene.feed.expected()
        for table in ("people__persons", "evo__members"):
            assert connection.execute(PARTLY_VISIBLE.format(table=table).encode()).fetchall() == []
    scene.counts["keys compared"] += len(expected) + sum(map(len, scene.feed.expected().values()))
