"""The ratio of two samples of rounds, with an interval for few rounds of which some are far off.

On a shared machine a round in ten takes half as long again, which blows up the variance of Student's t. So this is
Yuen's: means of the logarithms without the fifth of the rounds at either end, variances of the winsorized rounds,
degrees of freedom after Welch (Yuen, "The two-sample trimmed t for unequal population variances", Biometrika 61, 1974;
Wilcox, Introduction to Robust Estimation and Hypothesis Testing, section 5.3). On logarithms, because ratios are what
compares.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.999
# Of each end.
TRIMMED = 0.2
FEWEST_ROUNDS = 10


@dataclass(frozen=True)
class Interval:
    """A ratio, and the ends of its interval."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"

    @property
    def detectable(self) -> float:
        """The least slowdown that an interval of this width tells from none, as a share: 0.08 for 8 %."""
        return self.high / self.ratio - 1


def ratio_interval(after: Sequence[float], before: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the ratio of `after` to `before`, both positive, in FEWEST_ROUNDS rounds or more."""
    if min(len(after), len(before)) < FEWEST_ROUNDS:
        raise ValueError(f"{len(after)} and {len(before)} rounds: an interval takes {FEWEST_ROUNDS} of each.")
    (new, new_error, new_freedom), (old, old_error, old_freedom) = _trimmed(after), _trimmed(before)
    error = new_error + old_error
    if error == 0:
        ratio = math.exp(new - old)
        return Interval(ratio, ratio, ratio)
    freedom = error**2 / (new_error**2 / new_freedom + old_error**2 / old_freedom)
    half = student_quantile((1 + confidence) / 2, freedom) * math.sqrt(error)
    return Interval(math.exp(new - old), math.exp(new - old - half), math.exp(new - old + half))


def _trimmed(values: Sequence[float]) -> tuple[float, float, int]:
    """Return the trimmed mean of the logarithms, its squared standard error, and its degrees of freedom."""
    logs = sorted(map(math.log, values))
    cut = int(TRIMMED * len(logs))
    kept = logs[cut : len(logs) - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    squares = (len(logs) - 1) * statistics.variance(winsorized)
    return statistics.fmean(kept), squares / (len(kept) * (len(kept) - 1)), len(kept) - 1


def student_quantile(chance: float, freedom: float) -> float:
    """Return Student's quantile, by the expansion of Abramowitz and Stegun 26.7.5; 0.5 % off at 5 degrees."""
    z = statistics.NormalDist().inv_cdf(chance)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
