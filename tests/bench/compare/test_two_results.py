"""Two results compared: rows matched, unlike circumstances said, exit codes; the same over queries that really run."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.compare.intervals import FEWEST_ROUNDS
from bench.compare.two_results import compare_results, read_limit
from bench.comparison import Comparisons, Run, Variant, measure_comparison
from bench.environment import Circumstances, TableSize
from bench.errors import ToolError
from bench.queries.measure import measure_mixes
from bench.queries.report import figures
from bench.queries.rows import Round, Row
from bench.queries.run import Mix
from bench.queries.run import Run as QueryRun
from bench.results import keep, read_result
from loaders.connection import Address
from tests.bench.support import CIRCUMSTANCES, MART

OPTIONS = QueryRun(address=Address(), driver="asyncpg", connections=8, seconds=1, seed=1, anchor_seconds=1)


def row(name: str, slowdown: float = 1, rounds: int = 12, drift: float = 0.0) -> Row:
    """A row whose machine speeds up from round to round, so that only the anchor tells what the query itself does."""
    taken = []
    for turn in range(rounds):
        speed = (1 + drift) ** turn * (1.01 if turn % 2 else 0.99)
        percentiles = {"50": slowdown / speed, "99": 3 * slowdown / speed}
        taken.append(
            Round(done=100, seconds=1, qps=1000 * speed / slowdown, mean_ms=1, max_ms=9, percentiles=percentiles,
                  anchor_qps=500 * (1 + drift) ** turn)
        )  # fmt: skip
    return Row(query=name, question=name, layer="mart", n=None, rounds=tuple(taken))


def write(path: Path, *rows: Row, here: Circumstances = CIRCUMSTANCES) -> str:
    return str(keep("queries", figures(rows, OPTIONS), here, path))


def test_a_slowdown_is_found_whatever_the_machine_did_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = write(tmp_path / "before.json", row("lookup"), row("scan"))
    after = write(tmp_path / "after.json", row("lookup", 1.15, drift=0.05), row("scan", drift=0.05))
    assert main(["compare", before, after, "--fail", "p99:10%", "--fail", "qps:20%"]) == 1
    said = capsys.readouterr()
    assert "slower than allowed: lookup, asyncpg, 8 connections: p99 1.15 (1.1" in said.err
    assert "scan" not in said.err
    assert "qps" not in said.err
    lines = [line for line in said.out.splitlines() if "lookup" in line and "p99" in line]
    assert len(lines) == 1
    assert "slower" in lines[0]
    assert main(["compare", before, after, "--fail", "p99:20%"]) == 0
    assert main(["compare", after, before, "--fail", "p99:1%"]) == 0, "what is faster fails nothing"


def test_few_rounds_have_a_ratio_and_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "before.json", row("lookup", rounds=3))
    after = write(tmp_path / "after.json", row("lookup", 2, rounds=12))
    assert main(["compare", before, after, "--fail", "p99:10%"]) == 0
    said = capsys.readouterr().out
    assert "2.0" in said
    assert "3 rounds: too few" in said
    assert "p99: 1 of 1 rows cannot show 10%: run more --rounds" in said


def test_unlike_circumstances_and_rows_of_one_result_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = replace(CIRCUMSTANCES.server, settings={"wal_level": "minimal"})
    small = replace(
        CIRCUMSTANCES, server=server, tables={"core.people": TableSize(1000, 10**6)}, queries={"lookup": "a"}
    )
    other = replace(CIRCUMSTANCES.server, settings={"wal_level": "replica"})
    large = replace(small, server=other, tables={"core.people": TableSize(2000, 2 * 10**6)}, queries={"lookup": "b"})
    before = write(tmp_path / "before.json", row("lookup"), row("old"), here=small)
    after = write(tmp_path / "after.json", row("lookup"), here=large)
    assert main(["compare", before, after]) == 0
    said = capsys.readouterr().out
    assert "unequal: wal_level: minimal and replica" in said
    assert "unequal: lookup: another SQL" in said
    assert "unequal: core.people: 1,000 rows, 1.0 MB and 2,000 rows, 2.0 MB" in said
    assert "in one of the two only: old, asyncpg, 8 connections, p99" in said


def test_sizes_that_differ_by_dead_rows_are_alike() -> None:
    here = replace(CIRCUMSTANCES, tables={"core.people": TableSize(1_000_000, 10**8)}, load_average=0.1)
    assert (
        here.differences(replace(here, tables={"core.people": TableSize(1_000_500, 11 * 10**7)}, load_average=9)) == []
    )


def loading(path: Path, *seconds: float) -> str:
    """A result of `load` in which psql takes ever longer, and the loader these parts of its time."""
    base = Variant(name="psql", title="psql", count=1, measure=lambda turn: Run(seconds=turn + 1.0))
    ours = Variant(name="ours", title="loader", count=1, measure=lambda turn: Run(seconds=(turn + 1) * seconds[turn]))
    found = measure_comparison("csv", "a file", "rows", [base, ours], len(seconds), lambda _: None)
    return str(keep("load", Comparisons(rounds=len(seconds), comparisons=(found,)), CIRCUMSTANCES, path))


def test_loading_counts_in_units_of_psql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = loading(tmp_path / "before.json", *[0.7, 0.71] * 5)
    after = loading(tmp_path / "after.json", *[0.9, 0.91] * 6)
    assert main(["compare", before, after, "--fail", "time:20%"]) == 1
    assert "csv, loader to psql: time 1.28" in capsys.readouterr().err


def test_results_that_have_nothing_in_common(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, load = write(tmp_path / "before.json", row("lookup")), loading(tmp_path / "load.json", 1)
    other = write(tmp_path / "other.json", row("scan"))
    for arguments, words in (
        ([before, load], "is of `queries`"),
        ([before, other], "have no row in common"),
        ([before, before, "--fail", "time:3%"], "No row has time in both"),
        ([before, str(tmp_path / "none.json")], "No such file"),
    ):
        assert main(["compare", *arguments]) == 1
        assert words in capsys.readouterr().err


def test_two_folders_show_which_ranges_do_not_overlap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    write(before / "queries.json", row("lookup", rounds=3), row("scan", rounds=3))
    write(after / "queries.json", row("lookup", 1.05, rounds=3), row("scan", rounds=3), row("new"))
    loading(before / "load.json", 0.7, 0.8)
    loading(after / "load.json", 0.75, 0.9)
    write(after / "other.json", row("scan", rounds=3))
    assert main(["compare", str(before), str(after)]) == 0
    said = capsys.readouterr().out
    assert "ratios of paired runs: 1 of 1 ranges overlap" in said
    # The rates of the lookup differ by 5 % and the rounds of each by 1 %; its latencies do as well.
    assert "times, rates and latencies: 5 of 8 ranges overlap" in said
    assert "queries: lookup, qps" in said
    assert "scan" not in said
    after.joinpath("queries.json").unlink()
    after.joinpath("load.json").unlink()
    assert main(["compare", str(before), str(after)]) == 1
    assert "have no figure in common" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["p99", "p98:10%", "p99:x%", "p99:-1%"])
def test_a_limit_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ToolError, match="write it as p99:10%"):
        read_limit(text)


def test_a_limit_is_a_share() -> None:
    assert [read_limit("p99:10%"), read_limit("qps:2.5")] == [("p99", 0.1), ("qps", 0.025)]


TRIES = 20


@pytest.mark.slow
def test_a_planted_slowdown_of_real_queries_is_found_in_every_try(run: QueryRun, tmp_path: Path) -> None:
    """Three queries alternate over 20 times as many rounds as a comparison needs: two are equal, one takes 1.15.

    On a machine that others keep busy it fails: the intervals are then wider than the slowdown, and say so.
    """

    def working(name: str, rows: int) -> Mix:
        text = f"select count(*) from generate_series(1, {rows})"
        return Mix.of(replace(MART, name=name, sql=text, parameters=()))

    mixes = [working("before", 20_000), working("equal", 20_000), working("slower", 23_000)]
    # No rate is given of less than half a second.
    options = replace(run, seconds=0.6, anchor_seconds=0.5)
    rounds = FEWEST_ROUNDS + 2
    rows = dict(zip(("before", "equal", "slower"), measure_mixes(mixes, [None], options, rounds * TRIES), strict=True))

    def part(name: str, number: int) -> Path:
        some: Sequence[Round] = rows[name].rounds[number * rounds : (number + 1) * rounds]
        one = replace(rows[name], query="working", rounds=tuple(some))
        return keep("queries", figures([one], options), CIRCUMSTANCES, tmp_path / f"{name}-{number}.json")

    verdicts: dict[str, list[str]] = {"equal": [], "slower": []}
    for number in range(TRIES):
        for name, found in verdicts.items():
            changes = compare_results(read_result(part("before", number)), read_result(part(name, number))).changes
            [change] = [one for one in changes if one.figure == "qps"]
            found.append(change.verdict)
            print(name, change.interval, json.dumps(change.medians))
    assert verdicts == {"equal": ["no difference found"] * TRIES, "slower": ["slower"] * TRIES}
