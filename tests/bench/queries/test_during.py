import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import ToolError
from bench.queries.during import measure_during, program_of
from bench.queries.run import Mix, Run
from tests.bench.support import MART, REPOSITORY

LOCK = """
import time
from loaders.connection import Address, connect
with connect(Address.from_environment()) as connection, connection.transaction():
    connection.execute("lock table people_older_than in access exclusive mode")
    time.sleep(1.2)
"""


@pytest.fixture(autouse=True)
def short_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.queries.during.LEAD_SECONDS", 1)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def test_latency_is_kept_second_by_second_while_a_command_locks_the_table(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "lock.py"
    script.write_text(LOCK)
    [row], during = measure_during(
        Mix.of(MART), replace(run, rate=100, connections=2), shlex.join([sys.executable, str(script)])
    )
    assert during.exit_code == 0
    assert during.began_s >= 0.9
    assert during.ended_s - during.began_s >= 1.2
    timeline = row.rounds[0].timeline
    assert during.ended_s < len(timeline) <= during.ended_s + 3
    worst = max(range(len(timeline)), key=lambda second: timeline[second].max_ms or 0)
    assert int(during.began_s) <= worst <= during.ended_s
    assert (timeline[worst].max_ms or 0) > 900
    # The first second is whole, and the lock's 1.2 s are beyond half of none of its queries.
    assert (timeline[0].p50_ms or 0) < 500
    assert sum(second.answers for second in timeline) == row.done


def test_a_command_that_fails_is_told_by_its_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.queries.during.LEAD_SECONDS", 0.1)
    [row], during = measure_during(Mix.of(MART), run, shlex.join([sys.executable, "-c", "raise SystemExit(3)"]))
    assert (during.exit_code, row.errors) == (3, 0)


def test_a_command_is_looked_up_before_anything_is_measured() -> None:
    assert program_of("dbt run --select 'a b'")[1:] == ["run", "--select", "a b"]
    for command in ("no-such-program x", "", "echo 'open"):
        with pytest.raises(ToolError, match="The command"):
            program_of(command)
