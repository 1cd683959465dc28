"""A rate limit: requests leave at even distances, all of them while an API has not asked for a pause."""

import asyncio

# Below the limit by this much, since answers arrive at less even distances than requests leave.
MARGIN = 0.005
# What a timer that woke late may be made up for; more would be a burst.
LATE_SECONDS = 0.05


class RateLimit:
    """The requests of one run, so many a minute at most; None is no limit."""

    def __init__(self, per_minute: float | None) -> None:
        self._interval = 0.0 if per_minute is None else 60 / per_minute * (1 + MARGIN)
        self._next = 0.0
        self._held_until = 0.0

    async def turn(self) -> None:
        """Wait until another request may leave."""
        clock = asyncio.get_running_loop().time
        turn = max(self._next, clock() - min(LATE_SECONDS, self._interval))
        self._next = turn + self._interval
        # A pause may come while others wait for their turn.
        while (until := max(turn, self._held_until)) > (now := clock()):  # noqa: ASYNC110 - a pause can be made longer
            await asyncio.sleep(until - now)

    def hold(self, seconds: float) -> None:
        """Let no request leave for so long: the API has asked one of them to wait."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)
