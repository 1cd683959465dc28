"""The core of compared variants: rounds, failures, ratios, words."""

import pytest

from bench.comparison import Comparison, Measure, Run, Spread, Variant, check_failures, measure_comparison, paired_ratio
from bench.errors import RunFailed, ToolError
from bench.tables import comparison_table, number


def variant(name: str, *seconds: float, count: int = 10, origin: str = "ours", missing: str = "") -> Variant:
    def measure(turn: int) -> Run:
        if turn >= len(seconds):
            raise RunFailed("failed: it crashed")
        return Run(seconds=seconds[turn], peak_bytes=turn, wal_bytes=turn, reader_wait_seconds=seconds[turn] / 10)

    return Variant(name=name, title=name, count=count, measure=measure, origin=origin, missing=missing)  # type: ignore[arg-type]


def compare(*variants: Variant, rounds: int = 3, only: tuple[str, ...] = (), ratio_of: Measure = "time") -> Comparison:
    return measure_comparison("job", "a job", "rows", variants, rounds, lambda _: None, only=only, ratio_of=ratio_of)


def test_variants_alternate_and_each_round_begins_with_the_next() -> None:
    said: list[str] = []
    measure_comparison("job", "a job", "rows", [variant(name, 1, 1, 1, 1) for name in "abc"], 4, said.append)
    assert said == [
        f"job: round {turn} of 4: {name}"
        for turn, names in enumerate(("abc", "bca", "cab", "abc"), 1)
        for name in names
    ]


@pytest.mark.parametrize(
    ("ratio_of", "expected"), [("time", Spread(0.5, 0.25, 3.0)), ("rate", Spread(2.0, pytest.approx(1 / 3), 4.0))]
)
def test_a_ratio_is_the_median_of_the_rounds(ratio_of: Measure, expected: Spread) -> None:
    base, other = compare(variant("base", 2, 4, 1), variant("other", 1, 1, 3), ratio_of=ratio_of).timings
    assert (base.ratio, other.ratio) == (Spread(1.0, 1.0, 1.0), expected)
    assert (other.median, other.rate) == (1, 10)


def test_a_ratio_needs_both() -> None:
    assert [one.ratio for one in compare(variant("base", 1), variant("other", 1, 1, 1)).timings] == [None, None]
    assert [
        one.ratio for one in compare(variant("base", 1, 1, 1), variant("other", 1, 1, 1), only=("other",)).timings
    ] == [None]
    with pytest.raises(ValueError, match="argument"):
        paired_ratio([1.0], [1.0, 2.0])


def test_only_a_round_s_figures_are_kept_and_the_worst_wait() -> None:
    [one] = compare(variant("a", 1, 4, 2)).timings
    assert (one.peak_bytes, one.wal_bytes, one.reader_wait_seconds) == (2, 1, 0.4)


def test_a_failed_variant_is_left_out_and_told_at_the_end() -> None:
    found = compare(variant("a", 1, 1, 1), variant("short", 1), variant("absent", missing="not installed"))
    assert [(one.seconds, one.note) for one in found.timings] == [
        ((1, 1, 1), ""), ((), "failed: it crashed"), ((), "not installed"),
    ]  # fmt: skip
    assert found.sentences[-1] == "Not measured: short (failed: it crashed); absent (not installed)."
    with pytest.raises(ToolError, match="job, short: failed: it crashed"):
        check_failures([found])


@pytest.mark.parametrize("other", [variant("peer", origin="peer"), variant("absent", missing="not installed")])
def test_a_peer_may_fail_and_a_variant_be_missing(other: Variant) -> None:
    check_failures([compare(variant("a", 1, 1, 1), other)])


@pytest.mark.parametrize(
    ("ratio_of", "seconds", "expected"),
    [
        ("time", 2, "Time, base = 1: other: 2.00."),
        ("rate", 0.5, "The fastest is other: 2.00 times the rate of base."),
        ("rate", 2, "The fastest is base."),
    ],
)
def test_a_ratio_in_words(ratio_of: Measure, seconds: float, expected: str) -> None:
    assert compare(variant("base", 1), variant("other", seconds), rounds=1, ratio_of=ratio_of).sentences == (expected,)


def test_a_table_has_the_columns_that_any_variant_has() -> None:
    shown = [str(column.header) for column in comparison_table(compare(variant("base", 1, 1, 1))).columns]
    assert shown == ["variant", "seconds", "time, base = 1", "rows/s", "peak MiB", "WAL MB", "reader wait s"]


def test_numbers_in_words() -> None:
    assert [number(value) for value in (26_543, 4_120, 17.77, 0.838, 0.0042, 0)] == [
        "26,500", "4,120", "17.8", "0.84", "0.0042", "0.00",
    ]  # fmt: skip
    assert [str(Spread(1, 1, 1)), str(Spread(2, 1, 3.456))] == ["1.00", "2.00 (1.00 to 3.46)"]
