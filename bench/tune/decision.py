"""Whether paired runs differ: the sign test, as an interval of the median ratio, looked at several times.

It assumes nothing of the times but that pairs are independent: a machine that drifts or stutters costs more runs, and
makes no difference where there is none.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

from bench.comparison import Spread

# Of each look; four looks (10, 20, 40 and 80 pairs) together err in under 1 of 100 trials.
CONFIDENCE = 0.998
# Ratios within this of 1 are no difference that matters.
SAME_WITHIN = 0.05


class Verdict(StrEnum):
    """What trials of one candidate show."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no difference"
    UNDECIDED = "undecided"
    SAME_PLAN = "same plan"


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Spread | None:
    """Return the median with an interval that holds the true one with this confidence; None from too few values.

    Of n values, each is above the true median by a coin's toss: the interval is between the k-th least and the k-th
    largest, k as large as the coins allow (the order statistics of the sign test).
    """
    count, tail, outside = len(values), 0.0, 0
    while count and (tail := tail + math.comb(count, outside) / 2**count) * 2 <= 1 - confidence:
        outside += 1
    if not outside:
        return None
    ordered = sorted(values)
    return Spread(Spread.of(ordered).median, ordered[outside - 1], ordered[-outside])


def decide(ratios: Sequence[float]) -> Verdict:
    """Say what the ratios of paired times show so far; UNDECIDED asks for more pairs."""
    interval = median_interval(ratios)
    if interval is None:
        return Verdict.UNDECIDED
    if interval.high < 1 - SAME_WITHIN:
        return Verdict.FASTER
    if interval.low > 1 + SAME_WITHIN:
        return Verdict.SLOWER
    if interval.low > 1 - SAME_WITHIN and interval.high < 1 + SAME_WITHIN:
        return Verdict.NO_DIFFERENCE
    return Verdict.UNDECIDED
