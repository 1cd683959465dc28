"""Run a benchmark's SQL by PostgreSQL's own pgbench beside the harness, in turns, and compare their rates."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.benchmarks import Benchmark
from bench.errors import ToolError
from bench.harness import measure, processes
from bench.workers import Run
from loaders.connection import Address
from loaders.server import LocalServer

ROUNDS = 3
PLACEHOLDER = re.compile(r"\$(\d+)\b")
RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)


@dataclass(frozen=True)
class Comparison:
    """Queries a second of both, a figure a round, for one query and number of connections."""

    benchmark: Benchmark
    harness_qps: tuple[float, ...]
    pgbench_qps: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The harness's median rate in units of pgbench's."""
        return statistics.median(self.harness_qps) / statistics.median(self.pgbench_qps)


def compare(benchmark: Benchmark, run: Run, *, rounds: int = ROUNDS) -> Comparison:
    """Run harness and pgbench in turns for run.seconds each; machines are noisy, so only alternating runs compare."""
    program = pgbench_program(run.address)
    harness, pgbench = [], []
    for _ in range(rounds):
        (row,) = measure(benchmark, [None], run)
        if row.summary.errors:
            raise ToolError(
                f"{benchmark.name}: {row.summary.errors} queries failed, first: {row.summary.first_error} "
                "Rates with errors do not compare; mend the query or the server, then try again."
            )
        harness.append(row.summary.qps)
        pgbench.append(pgbench_rate(program, benchmark, run))
    return Comparison(benchmark, tuple(harness), tuple(pgbench))


def pgbench_rate(program: Path, benchmark: Benchmark, run: Run) -> float:
    """Run pgbench once and return its queries a second, without the time to connect."""
    with tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        script = Path(folder, f"{benchmark.name}.sql")
        script.write_text(script_of(benchmark))
        command = [
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={run.connections}",
            f"--jobs={processes(run)}", f"--time={max(1, round(run.seconds))}",
            f"--random-seed={run.seed}", f"--file={script}",
        ]  # fmt: skip
        ended = subprocess.run(
            command, env=os.environ | run.address.environment, capture_output=True, text=True, check=False
        )
    rate = RATE.search(ended.stdout)
    if ended.returncode != 0 or rate is None:
        said = " ".join(ended.stderr.split())[-300:]
        raise ToolError(
            f"{program} failed with exit code {ended.returncode}: {said} Leave --pgbench out to do without."
        )
    return float(rate[1])


def script_of(benchmark: Benchmark) -> str:
    r"""Return the query as a pgbench script: a \set line a parameter, then the SQL with :name for each $n."""
    lines = [f"\\set {p.name} random({p.min}, {p.max})" for p in benchmark.parameters]
    sql = PLACEHOLDER.sub(lambda found: f":{benchmark.parameters[int(found[1]) - 1].name}", benchmark.sql)
    # On a line of its own: the SQL may end in a comment.
    return "\n".join([*lines, sql, ";", ""])


def pgbench_program(address: Address) -> Path:
    """Return pgbench; ToolError where there is none."""
    if found := server_program("pgbench", address):
        return found
    raise ToolError("pgbench is not installed here: set PG_BIN to PostgreSQL's bin folder, or leave --pgbench out.")


def server_program(name: str, address: Address) -> Path | None:
    """Return a program of PostgreSQL's from PG_BIN, the local server's binaries or PATH, None where there is none."""
    folders = [os.environ["PG_BIN"]] if os.environ.get("PG_BIN") else []
    if not folders and address.is_local:
        folders.append(str(LocalServer(Path(".pgdata"), address).binaries))
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    return Path(found) if found else None
