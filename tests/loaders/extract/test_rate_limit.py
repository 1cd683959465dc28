"""The rate limit, on a clock that stands still but for the waits themselves."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest

from loaders.extract.rate_limit import RateLimit


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once, later than asked for by up to a millisecond, as timers are."""

    def __init__(self) -> None:
        self._now = 1000.0
        dice = random.Random(1)
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                if timeout:
                    loop._now += timeout + dice.random() / 1000
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self._now


def run(work: Coroutine[Any, Any, list[float]]) -> list[float]:
    with asyncio.Runner(loop_factory=Clock) as runner:
        return runner.run(work)


async def send(limit: RateLimit, requests: int, seconds: float, *, at_once: int = 1) -> list[float]:
    """Return when requests left, each answered after about so many seconds."""
    clock, dice = asyncio.get_running_loop().time, random.Random(2)
    left: list[float] = []

    async def worker() -> None:
        while len(left) < requests:
            await limit.turn()
            left.append(clock())
            await asyncio.sleep(seconds * dice.uniform(0.5, 1.5))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return sorted(left)


@pytest.mark.parametrize(("per_minute", "at_once"), [(40, 1), (2400, 1), (2400, 4), (12_000, 8)])
def test_the_limit_is_kept_and_used_within_two_percent(per_minute: float, at_once: int) -> None:
    left = run(send(RateLimit(per_minute), 1000, 0.02, at_once=at_once))
    rate = 60 * (len(left) - 1) / (left[-1] - left[0])
    assert 0.98 * per_minute <= rate <= per_minute
    # In no window of the API's are there more than the limit and the one at its edge.
    window = max(60.0, 100 * 60 / per_minute)
    for start in left[::50]:
        inside = sum(start <= one < start + window for one in left)
        assert inside <= per_minute * window / 60 * 1.02 + 1


def test_answers_slower_than_the_limit_are_not_made_up_for_by_a_burst() -> None:
    async def slow_then_quick() -> list[float]:
        limit = RateLimit(600)
        await send(limit, 20, 1.0)
        return await send(limit, 50, 0.0001)

    left = run(slow_then_quick())
    assert min(after - before for before, after in pairwise(left[2:])) > 0.09


def test_without_a_limit_nothing_waits() -> None:
    left = run(send(RateLimit(None), 100, 0.01))
    assert left[-1] - left[0] < 1.7


def test_a_pause_holds_all() -> None:
    async def held() -> list[float]:
        limit = RateLimit(6000)
        before = await send(limit, 10, 0.001)
        limit.hold(30)
        return [before[-1], *await send(limit, 10, 0.001, at_once=4)]

    left = run(held())
    assert left[1] - left[0] >= 30
