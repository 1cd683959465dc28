"""The marked tables of docs/benchmarks.md by one command: a server and data of its own, a result a step."""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.environment import dbt_program, repository_path
from bench.errors import ToolError
from bench.results import PROGRAM
from loaders.connection import Address
from loaders.server import LocalServer

PUBLISHED = Path("docs/results")
ROWS = 1_000_000
MART = "people_older_than_mart"
PEOPLE = f"people_older_than_staging people_older_than_core {MART}"


@dataclass(frozen=True)
class Step:
    """A measurement: the name of its result's file, what follows `python -m bench`, the server's wal_level."""

    name: str
    command: str
    wal_level: str = "minimal"


PEERS = "--only psql --only adbc --only sling --only dlt --only pgloader"
# In the order in which README has them; those that need another server come last.
STEPS = (
    Step("load-csv", "load csv --rows 10000000 --rounds 5 --only psql --only two-psql --only loader-2 --only loader-1"),
    Step("load-jsonl", "load jsonl --rows 1000000 --rounds 5"),
    Step("load-files", "load files rerun --rows 1000000 --rounds 5"),
    Step("load-kinds", "load kinds --rows 3000000 --rounds 5"),
    Step("load-peers", f"load csv --rows 300000 --rounds 3 {PEERS}"),
    Step("records", "records --rows 100000 --rounds 5"),
    Step("queries", f"queries {PEOPLE} --duration 3 --limit 20 --rounds 5"),
    Step("pgbench-asyncpg", f"queries {MART} --duration 3 --rounds 5 --pgbench"),
    Step("pgbench-libpq", f"queries {MART} --duration 3 --rounds 5 --pgbench --driver libpq"),
    Step("pgbench-pipeline", f"queries {MART} --duration 3 --rounds 5 --pgbench --driver psycopg-pipeline"),
    Step("open-loop", f"queries {MART} --rate 5000 --duration 8 --rounds 3 --driver libpq"),
    Step("slo", f'queries {MART} --slo "p99<10ms" --duration 3 --driver libpq'),
    Step("during", f'queries {MART} --rate 1000 --driver libpq --during "dbt run --full-refresh --select people+"'),
    Step("shop", "queries shop_* --duration 2 --limit 5 --rounds 3"),
    Step("tune", "tune --set shop --rounds 5"),
    Step("many", "many bound lookups function --count 1000 --rounds 3 --parallel 0"),
    Step("many-delayed", "many lookups --count 500 --rounds 3 --workers 16 --parallel 0 --delay-ms 20"),
    Step("transform", "transform --rows 2000000 --increments 5 --changed 5 --rounds 5"),
    Step(
        "transform-changed", "transform --rows 2000000 --increments 3 --changed 0 --changed 50 --changed 100 --rounds 0"
    ),
    Step("transform-replica", "transform --rows 2000000 --increments 0 --rounds 5", wal_level="replica"),
)
# Minutes of its own, so only where it is named.
AT_LENGTH = Step("load-peers-10m", f"load csv --rows 10000000 --rounds 1 {PEERS}")
# What --quick divides by, so that every step shows in a moment that it works; at least 1.
QUICK = {"--rows": 100, "--rounds": 3, "--increments": 3, "--count": 20, "--duration": 3, "--limit": 10}


def publish(names: list[str], *, quick: bool, say: Callable[[str], None], folder: Path = PUBLISHED) -> None:
    """Measure the named steps (none: STEPS) into `folder`; ToolError names those that failed, after all were tried."""
    known = {step.name: step for step in (*STEPS, AT_LENGTH)}
    if unknown := set(names) - known.keys():
        raise ToolError(f"No step is named {sorted(unknown)[0]!r}. Name some of: {', '.join(known)}.")
    chosen = [step for step in known.values() if step.name in names] if names else list(STEPS)
    folder = folder.absolute()
    failed, began = [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ingot-figures-") as temporary:
        for wal_level in dict.fromkeys(step.wal_level for step in chosen):
            some = [step for step in chosen if step.wal_level == wal_level]
            place = Path(temporary, wal_level)
            with _server(place, wal_level) as address:
                environment = _environment(place, address)
                if any(not step.command.startswith(("load", "records", "transform")) for step in some):
                    say("data: people and the shop, loaded and built")
                    _prepare(environment, ROWS // QUICK["--rows"] if quick else ROWS)
                for step in some:
                    command = quicker(step.command) if quick else step.command
                    say(f"{step.name}: {PROGRAM} {command}  ({time.monotonic() - began:.0f} s so far)")
                    words = [*_expanded(command), "--json", str(folder / f"{step.name}.json")]
                    if subprocess.run([sys.executable, "-m", "bench", *words], env=environment, check=False).returncode:
                        failed.append(step.name)
    say(f"{len(chosen)} steps in {(time.monotonic() - began) / 60:.0f} minutes, into {folder}")
    if failed:
        raise ToolError(f"These steps failed, their own words are above: {', '.join(failed)}. Name them to try again.")


def quicker(command: str) -> str:
    """Return the command with smaller numbers."""
    words = shlex.split(command)
    for at, (option, value) in enumerate(pairwise(words), start=1):
        if option in QUICK and float(value) > 0:
            words[at] = str(max(1, int(float(value) / QUICK[option])))
    return shlex.join(words)


def _expanded(command: str) -> list[str]:
    """Return the command's words, an asterisk replaced by the analyses of such names."""
    words = []
    for word in shlex.split(command):
        names = sorted(path.stem for path in repository_path("analyses").glob(f"{word}.sql")) if "*" in word else [word]
        words += names
    return words


def _prepare(environment: Mapping[str, str], rows: int) -> None:
    """Generate, load and build what queries read."""
    python = (sys.executable, "-m")
    for words in (
        (*python, "bench", "generate", "people", "--rows", str(rows)),
        (*python, "bench", "generate", "shop", "--rows", str(rows)),
        (*python, "loaders", "load", "people", "shop"),
        (dbt_program(), "--quiet", "build", "--select", "source:people+", "source:shop+", "resource_type:seed"),
    ):
        if subprocess.run(words, env=environment, stdout=sys.stderr, check=False).returncode:
            raise ToolError(f"{' '.join(words[1:])} failed: its own words are above. Fix that, then measure again.")


def _environment(place: Path, address: Address) -> dict[str, str]:
    own = {
        "BRONZE_ROOT": str(place / "bronze"),
        "DBT_TARGET_PATH": str(place / "target"),
        "DBT_LOG_PATH": str(place / "logs"),
    }
    return os.environ | address.environment | own


@contextmanager
def _server(place: Path, wal_level: str) -> Iterator[Address]:
    """Yield the address of a server of its own, with the local server's other settings, removed at the end."""
    place.mkdir(mode=0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(port=probe.getsockname()[1])
    server = LocalServer(place / ".pgdata", address, settings=[("wal_level", wal_level, "Of these steps.")])
    try:
        server.up()
        yield address
    finally:
        server.remove()
