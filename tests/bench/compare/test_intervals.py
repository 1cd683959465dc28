"""The interval of a ratio: its pieces against known values, its power and its errors over rounds that drift."""

import math
import random

import pytest

from bench.compare.intervals import FEWEST_ROUNDS, Interval, ratio_interval, student_quantile

TRIES = 20


# Of tables of Student's distribution.
@pytest.mark.parametrize(
    ("freedom", "expected"), [(5, 6.869), (9, 4.781), (10, 4.587), (18, 3.922), (30, 3.646), (1e6, 3.291)]
)
def test_the_quantile_is_student_s(freedom: float, expected: float) -> None:
    assert student_quantile(0.9995, freedom) == pytest.approx(expected, rel=0.006)


def test_the_interval_is_yuen_s() -> None:
    # By hand: logarithms 0 to 9 and 3 to 12; 6 kept of 10; winsorized they have squares 2 * (3 * 2.5**2 + ...) = 48.5.
    after, before = ([math.exp(first + step) for step in range(10)] for first in (3, 0))
    squares = 2 * (3 * 2.5**2 + 1.5**2 + 0.5**2)
    half = student_quantile(0.9995, 10) * math.sqrt(2 * squares / (6 * 5))
    found = ratio_interval(after, before)
    assert [found.ratio, found.low, found.high] == pytest.approx([math.exp(3), math.exp(3 - half), math.exp(3 + half)])
    assert found.detectable == pytest.approx(math.exp(half) - 1)


def test_rounds_that_do_not_vary_have_no_width() -> None:
    assert ratio_interval([2.0] * 10, [1.0] * 10) == Interval(*[pytest.approx(2)] * 3)  # type: ignore[arg-type]


def test_few_rounds_have_no_interval() -> None:
    with pytest.raises(ValueError, match="9 and 10 rounds"):
        ratio_interval([1.0] * (FEWEST_ROUNDS - 1), [1.0] * FEWEST_ROUNDS)


# Twentieths of the logarithm of a key lookup's rate in units of the anchor's, measured in 40 rounds of 2 s on two cores
# that eight others used (load average 17); the rate itself varied by 0.18.
MEASURED = (
    -0.148, -0.122, -0.09, -0.083, -0.063, -0.048, -0.046, -0.041, -0.011, 0.0, 0.017, 0.021, 0.03, 0.038, 0.041,
    0.052, 0.075, 0.087, 0.183,
)  # fmt: skip


class Machine:
    """A machine whose speed walks up and down by a half, and whose rounds have what the anchor does not explain."""

    def __init__(self, seed: int, noise: float) -> None:
        self.chance, self.noise, self.log_speed = random.Random(seed), noise, 0.0

    def record(self, rounds: int, *slowdowns: float) -> list[list[float]]:
        """Record results of so many rounds, alternating: each round's cost in units of the anchor's."""
        costs: list[list[float]] = [[] for _ in slowdowns]
        for _ in range(rounds):
            for some, slowdown in zip(costs, slowdowns, strict=True):
                self.log_speed = max(-0.4, min(0.4, self.log_speed + self.chance.gauss(0, 0.15)))
                unexplained = self.noise * self.chance.choice(MEASURED)
                rate, anchor_rate = math.exp(self.log_speed + unexplained) / slowdown, math.exp(self.log_speed)
                some.append(anchor_rate / rate)
        return costs


@pytest.fixture(params=[(10, 0.4), (40, 1.0)], ids=["10 rounds in quiet", "40 rounds beside others"])
def circumstances(request: pytest.FixtureRequest) -> tuple[int, float]:
    """How many rounds, and how much of the measured noise."""
    rounds, noise = request.param
    return rounds, noise


def test_a_planted_slowdown_is_found_in_every_try(circumstances: tuple[int, float]) -> None:
    rounds, noise = circumstances
    machine = Machine(1, noise)
    found = [ratio_interval(*machine.record(rounds, 1.15, 1)) for _ in range(TRIES)]
    assert sum(one.low > 1 for one in found) == TRIES


def test_equal_pairs_are_found_equal(circumstances: tuple[int, float]) -> None:
    rounds, noise = circumstances
    machine = Machine(2, noise)
    found = [ratio_interval(*machine.record(rounds, 1, 1)) for _ in range(TRIES)]
    assert sum(one.low > 1 or one.high < 1 for one in found) == 0


def test_what_is_claimed_to_be_found_is_found(circumstances: tuple[int, float]) -> None:
    rounds, noise = circumstances
    machine = Machine(3, noise)
    for _ in range(TRIES):
        claimed = ratio_interval(*machine.record(rounds, 1, 1)).detectable
        assert ratio_interval(*machine.record(rounds, 1 + 2 * claimed, 1)).low > 1


def test_one_round_in_ten_may_be_far_off() -> None:
    machine = Machine(4, 0.4)
    after, before = machine.record(20, 1.15, 1)
    after[3], before[7] = after[3] * 2, before[7] * 2
    assert ratio_interval(after, before).low > 1
