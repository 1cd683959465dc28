"""Run benchmarks' SQL by PostgreSQL's own pgbench, alternating with the harness, and compare their rates."""

import itertools
import math
import os
import re
import resource
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.comparison import Spread, paired_ratio
from bench.environment import server_program
from bench.errors import ToolError
from bench.queries.benchmarks import Argument, Benchmark
from bench.queries.measure import measure_mix
from bench.queries.run import Mix, Run
from loaders.connection import Address

ROUNDS = 3
MOST_SCRIPTS = 128  # pgbench's own limit
PLACEHOLDER = re.compile(r"\$(\d+)\b")
RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)


@dataclass(frozen=True)
class ClientRun:
    """What one run of either program showed: queries a second, mean latency, its own processor time a query."""

    qps: float
    mean_ms: float
    overhead_us: float


@dataclass(frozen=True)
class PgbenchComparison:
    """The runs of both, one a round, for one query or mix; the ratio of rates is the harness's to pgbench's."""

    query: str
    harness: tuple[ClientRun, ...]
    pgbench: tuple[ClientRun, ...]
    ratio: Spread

    def medians(self, figure: str) -> tuple[float, float]:
        """Return the medians of a figure: the harness's, pgbench's."""
        ours, theirs = ([getattr(one, figure) for one in some] for some in (self.harness, self.pgbench))
        return statistics.median(ours), statistics.median(theirs)


@dataclass(frozen=True)
class Script:
    """A pgbench script, how often it is drawn relative to the others, and its variables' values."""

    text: str
    weight: int
    variables: dict[str, str]


def compare(mix: Mix, run: Run, *, rounds: int = ROUNDS) -> PgbenchComparison:
    """Run harness and pgbench alternating, for run.seconds each; machines drift, so only runs of a round compare."""
    program = pgbench_program(run.address)
    harness, pgbench = [], []
    for _ in range(rounds):
        whole = measure_mix(mix, [None], run)[-1]
        if whole.errors or whole.mean_ms is None or whole.overhead_us is None:
            raise ToolError(
                f"{mix.name}: {whole.errors} queries failed, first: {whole.first_error} "
                "Rates with errors do not compare; fix the query or the server, then try again."
            )
        harness.append(ClientRun(whole.qps, whole.mean_ms, whole.overhead_us))
        pgbench.append(run_pgbench(program, mix, run))
    ratio = paired_ratio([one.qps for one in harness], [one.qps for one in pgbench])
    return PgbenchComparison(mix.name, tuple(harness), tuple(pgbench), ratio)


def run_pgbench(program: Path, mix: Mix, run: Run) -> ClientRun:
    """Run pgbench once; its queries a second are without the time to connect."""
    with tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        command = [
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={run.connections}",
            f"--jobs={run.process_count}", f"--time={max(1, round(run.seconds))}", f"--random-seed={run.seed}",
        ]  # fmt: skip
        if run.rate is not None:
            command.append(f"--rate={run.rate / run.batch}")
        for number, script in enumerate(scripts_of(mix, run.batch)):
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
    qps = float(rate[1]) * run.batch
    return ClientRun(qps, float(latency[1]), processor * 1e6 / (qps * max(1, round(run.seconds))))


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
