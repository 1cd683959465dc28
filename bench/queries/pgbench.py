"""Run benchmarks' SQL by PostgreSQL's own pgbench beside the harness, in turns, and compare their rates."""

import itertools
import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ToolError
from bench.queries.benchmarks import Argument, Benchmark
from bench.queries.drivers import DRIVERS
from bench.queries.measure import measure_mix, processes
from bench.queries.worker import Mix, Run
from loaders.connection import Address
from loaders.server import LocalServer

ROUNDS = 3
MOST_SCRIPTS = 128  # pgbench's own limit
PLACEHOLDER = re.compile(r"\$(\d+)\b")
RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """What one run of either program showed: queries a second, mean latency, its own processor time a query."""

    qps: float
    mean_ms: float
    overhead_us: float


@dataclass(frozen=True)
class Comparison:
    """The turns of both, one a round, for one query or mix and number of connections."""

    name: str
    harness: tuple[Turn, ...]
    pgbench: tuple[Turn, ...]

    @property
    def ratio(self) -> float:
        """The harness's median rate in units of pgbench's."""
        return statistics.median(self.harness_qps) / statistics.median(self.pgbench_qps)

    @property
    def harness_qps(self) -> list[float]:
        """The harness's rates, one a round."""
        return [turn.qps for turn in self.harness]

    @property
    def pgbench_qps(self) -> list[float]:
        """The rates of pgbench, one a round."""
        return [turn.qps for turn in self.pgbench]


@dataclass(frozen=True)
class Script:
    """A pgbench script, how often it is drawn relative to the others, and its variables' values."""

    text: str
    weight: int
    variables: dict[str, str]


def medians(turns: Sequence[Turn]) -> Turn:
    """Return the median of each figure."""
    return Turn(
        statistics.median(turn.qps for turn in turns),
        statistics.median(turn.mean_ms for turn in turns),
        statistics.median(turn.overhead_us for turn in turns),
    )


def compare(mix: Mix, run: Run, *, rounds: int = ROUNDS) -> Comparison:
    """Run harness and pgbench in turns for run.seconds each; machines are noisy, so only alternating runs compare."""
    if DRIVERS[run.driver].is_in_process:
        raise ToolError(f"pgbench asks PostgreSQL, not {run.driver}: leave --pgbench out, or take another --driver.")
    program = pgbench_program(run.address)
    harness, pgbench = [], []
    for _ in range(rounds):
        whole = measure_mix(mix, [None], run)[-1].summary
        if whole.errors or whole.mean_ms is None or whole.overhead_us is None:
            raise ToolError(
                f"{mix.name}: {whole.errors} queries failed, first: {whole.first_error} "
                "Rates with errors do not compare; mend the query or the server, then try again."
            )
        harness.append(Turn(whole.qps, whole.mean_ms, whole.overhead_us))
        pgbench.append(pgbench_turn(program, mix, run))
    return Comparison(mix.name, tuple(harness), tuple(pgbench))


def pgbench_turn(program: Path, mix: Mix, run: Run) -> Turn:
    """Run pgbench once; its queries a second are without the time to connect."""
    batch = run.pipeline if DRIVERS[run.driver].is_pipelined else 1
    with tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        command = [
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={run.connections}",
            f"--jobs={processes(run)}", f"--time={max(1, round(run.seconds))}", f"--random-seed={run.seed}",
        ]  # fmt: skip
        if run.rate is not None:
            command.append(f"--rate={run.rate / batch}")
        for number, script in enumerate(scripts_of(mix, batch)):
            path = Path(folder, f"{number}.sql")
            path.write_text(script.text)
            command += [f"--define={name}={value}" for name, value in script.variables.items()]
            command.append(f"--file={path}@{script.weight}")
        before = _children_processor_seconds()
        ended = subprocess.run(
            command, env=os.environ | run.address.environment, capture_output=True, text=True, check=False
        )
        processor = _children_processor_seconds() - before
    rate, latency = RATE.search(ended.stdout), LATENCY.search(ended.stdout)
    if ended.returncode != 0 or rate is None or latency is None:
        said = " ".join(ended.stderr.split())[-300:]
        raise ToolError(
            f"{program} failed with exit code {ended.returncode}: {said} Leave --pgbench out to do without."
        )
    qps = float(rate[1]) * batch
    return Turn(qps, float(latency[1]), processor * 1e6 / (qps * max(1, round(run.seconds))))


def scripts_of(mix: Mix, batch: int = 1) -> list[Script]:
    r"""Return the mix as pgbench scripts: SQL with :name for each $n, `batch` times between \startpipeline and its end.

    pgbench draws numbers and no texts: a query with text parameters becomes a script for each set of their values.
    """
    sets = [_text_values(benchmark) for benchmark in mix.benchmarks]
    if (total := sum(map(len, sets))) > MOST_SCRIPTS:
        raise ToolError(
            f"pgbench takes {MOST_SCRIPTS} scripts, and the texts of {mix.name} need {total}. Declare fewer values, "
            "or leave --pgbench out."
        )
    # The scripts of one query share its weight, in whole numbers.
    common = math.lcm(*map(len, sets))
    scripts: list[Script] = []
    for benchmark, weight, values in zip(mix.benchmarks, mix.weights, sets, strict=True):
        for one in values:
            # A variable is all scripts': the text's name gets the number of the script.
            texts = {name: f"{name}_{len(scripts)}" for name in one}
            text = _script(benchmark, texts, batch)
            scripts.append(
                Script(text, weight * common // len(values), {texts[name]: str(value) for name, value in one.items()})
            )
    return scripts


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


def _text_values(benchmark: Benchmark) -> list[dict[str, Argument]]:
    """Return every set of the text parameters' values, by name: one empty set where there are none."""
    texts = [p for p in benchmark.parameters if p.type == "text"]
    if math.prod(len(p.values) for p in texts) > MOST_SCRIPTS:
        raise ToolError(
            f"pgbench takes {MOST_SCRIPTS} scripts, and {benchmark.name} has more sets of texts. Declare fewer values, "
            "or leave --pgbench out."
        )
    return [
        dict(zip((p.name for p in texts), one, strict=True)) for one in itertools.product(*(p.values for p in texts))
    ]


def _script(benchmark: Benchmark, texts: dict[str, str], batch: int) -> str:
    names = [texts.get(p.name, p.name) for p in benchmark.parameters]
    draws = [f"\\set {p.name} random({p.values[0]}, {p.values[-1]})" for p in benchmark.parameters if p.type != "text"]
    sql = PLACEHOLDER.sub(lambda found: f":{names[int(found[1]) - 1]}", benchmark.sql)
    # The semicolon on a line of its own: the SQL may end in a comment.
    query = [*draws, sql, ";"]
    lines = query if batch == 1 else ["\\startpipeline", *query * batch, "\\endpipeline"]
    return "\n".join([*lines, ""])


def _children_processor_seconds() -> float:
    """Return the processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
