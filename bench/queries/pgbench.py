"""Run benchmarks' SQL by PostgreSQL's own pgbench, alternating with the harness, and compare their rates."""

import itertools
import math
import os
import re
import resource
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from bench.comparison import Spread, paired_ratio
from bench.environment import server_program
from bench.errors import ToolError
from bench.queries.benchmarks import Argument, Benchmark
from bench.queries.measure import Bench
from bench.queries.run import Mix, Run
from loaders.connection import Address

MOST_SCRIPTS = 128  # pgbench's own limit
PLACEHOLDER = re.compile(r"\$(\d+)\b")
RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)
PROCESSED = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class ClientRun:
    """What one run of either program showed: queries a second, mean latency, its own processor time a query."""

    qps: float
    mean_ms: float
    overhead_us: float


@dataclass(frozen=True)
class PgbenchComparison:
    """The runs of both, one a round, for one query or mix; the ratio of rates is the harness's to pgbench's.

    Where they cannot be compared, `note` says why, and there are no runs.
    """

    query: str
    harness: tuple[ClientRun, ...] = ()
    pgbench: tuple[ClientRun, ...] = ()
    ratio: Spread | None = None
    note: str = ""

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


@dataclass(frozen=True)
class Pgbench:
    """pgbench on one mix: the program, how to run, the scripts, the processor seconds that its start takes."""

    program: Path
    mix: Mix
    run: Run
    scripts: tuple[Script, ...]
    start_seconds: float = 0.0

    @classmethod
    def checked(cls, mix: Mix, run: Run) -> "Pgbench":
        """Return it after a first run of one transaction a client; ToolError says why it cannot run the mix."""
        if run.rate is not None and run.batch > 1:
            raise ToolError("pgbench schedules whole pipelines, the harness queries. Leave --rate or the pipeline out.")
        whole = replace(run, seconds=max(1, round(run.seconds)), anchor_seconds=0, is_observed=False, most_seconds=None)
        one = cls(pgbench_program(run.address), mix, whole, tuple(scripts_of(mix, run.batch)))
        _, seconds = one._output("--transactions=1")
        return replace(one, start_seconds=seconds)

    def measured(self, turn: int) -> ClientRun:
        """Run pgbench once, for run.seconds; neither connecting nor its start is in the figures."""
        rate = [] if self.run.rate is None else [f"--rate={self.run.rate}"]
        output, processor = self._output(f"--time={self.run.seconds}", f"--random-seed={self.run.seed + turn}", *rate)
        found = [one.search(output) for one in (RATE, LATENCY, PROCESSED)]
        numbers = [float(one[1]) for one in found if one is not None]
        if len(numbers) < len(found) or not numbers[2]:
            raise ToolError(f"{self.program.name} answered nothing: {' '.join(output.split())[-300:]}")
        qps, mean_ms, processed = numbers
        used = max(0.0, processor - self.start_seconds)
        return ClientRun(qps * self.run.batch, mean_ms, used * 1e6 / (processed * self.run.batch))

    def _output(self, *options: str) -> tuple[str, float]:
        """Run it; return its output and processor seconds."""
        with tempfile.TemporaryDirectory(prefix="ingot-") as folder:
            command = [
                str(self.program), "--no-vacuum", "--protocol=prepared", f"--client={self.run.connections}",
                f"--jobs={self.run.process_count}", *options,
            ]  # fmt: skip
            for number, script in enumerate(self.scripts):
                path = Path(folder, f"{number}.sql")
                path.write_text(script.text)
                command += [f"--define={name}={value}" for name, value in script.variables.items()]
                command.append(f"--file={path}@{script.weight}")
            before = _children_processor_seconds()
            ended = subprocess.run(
                command, env=os.environ | self.run.address.environment, capture_output=True, text=True, check=False
            )
            processor = _children_processor_seconds() - before
        if ended.returncode != 0:
            lines = ended.stderr.splitlines()
            said = next((line for line in lines if "ERROR" in line), " ".join(lines)[-300:])
            raise ToolError(
                f"{self.program.name} failed with exit code {ended.returncode}: {said} "
                "Leave --pgbench out to do without."
            )
        return ended.stdout, processor


def compare(pgbench: Pgbench, rounds: int) -> PgbenchComparison:
    """Run harness and pgbench alternating, either first in turn; machines drift, so only runs of a round compare."""
    harness: list[ClientRun] = []
    others: list[ClientRun] = []
    try:
        with Bench([pgbench.mix], pgbench.run) as bench:
            for turn in range(rounds):
                others += [pgbench.measured(turn)] if turn % 2 else []
                harness.append(_harness_run(bench, turn))
                others += [] if turn % 2 else [pgbench.measured(turn)]
    except ToolError as error:
        return PgbenchComparison(pgbench.mix.name, note=str(error))
    ratio = paired_ratio([one.qps for one in harness], [one.qps for one in others])
    return PgbenchComparison(pgbench.mix.name, tuple(harness), tuple(others), ratio)


def _harness_run(bench: Bench, turn: int) -> ClientRun:
    [rounds] = bench.measure(0, [None], turn)
    whole = rounds[-1]
    if whole.errors:
        raise ToolError(f"{whole.errors} queries of the harness failed, first: {whole.first_error}")
    if whole.mean_ms is None or whole.qps is None or whole.overhead_us is None:
        raise ToolError("the harness had no answer in time; measure longer, with --duration.")
    return ClientRun(whole.qps, whole.mean_ms, whole.overhead_us)


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
