"""Retries of a load: which errors are temporary, and how long to try again."""

import random
import time
from collections.abc import Callable, Iterator

import psycopg
from tenacity import AttemptManager, RetryCallState, Retrying, retry_if_exception

from loaders.errors import ServerError

RETRY_SECONDS = 600.0
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 30.0

# Connection lost (08), and shutdown, crash, start-up, a session ended while it was idle (57P). 57P04 is a database
# that was dropped.
TEMPORARY_CLASSES = ("08", "57P")
PERMANENT_STATES = ("57P04",)
# Read-only: a standby, since the loader's sessions turn default_transaction_read_only off. Too many connections. A
# transaction that lost to another.
TEMPORARY_STATES = ("25006", "53300", "40001", "40P01")
# What Citus says where the connection to a node breaks, in a COPY and elsewhere. Of PostgreSQL itself these states are
# a disk's error and a defect, which last: the source file of the message tells the two apart.
BROKEN_NODES = (("58030", "multi_copy.c"), ("XX000", "remote_commands.c"))


def is_temporary(error: BaseException, *, was_reached: bool) -> bool:
    """Tell whether the same work may succeed later, by SQLSTATE.

    A connection that cannot be made has no SQLSTATE: it is temporary where the server `was_reached` before.
    """
    if isinstance(error, ServerError):
        return was_reached
    # A session that an interrupt broke in the middle of a query is no failure of the server.
    if not isinstance(error, psycopg.Error) or isinstance(error.__context__, KeyboardInterrupt):
        return False
    # libpq gives no SQLSTATE where the connection broke.
    state = error.sqlstate or ("08000" if isinstance(error, psycopg.OperationalError) else "")
    if (state, error.diag.source_file) in BROKEN_NODES:
        return True
    return state in TEMPORARY_STATES or (state.startswith(TEMPORARY_CLASSES) and state not in PERMANENT_STATES)


class Retries:
    """Attempts at one piece of work, repeated after temporary errors with exponential waits and jitter.

    Iterate as over tenacity's Retrying: `for attempt in retries: with attempt: ...`. `seconds` limits a streak of
    failures, counted from its first one. Time in which an attempt had the server does not count, so that a second
    failover during a long load gets all the patience that is left. `progress` ends a streak.
    """

    def __init__(
        self,
        seconds: float,
        *,
        is_temporary: Callable[[BaseException], bool],
        say: Callable[[BaseException, float], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._is_temporary = is_temporary
        self._say = say
        self._sleep = sleep
        self._clock = clock
        self._failures = 0
        self._since = self._resumed = clock()

    def __iter__(self) -> Iterator[AttemptManager]:
        return iter(
            Retrying(
                retry=retry_if_exception(self._is_temporary),
                after=self._count,
                wait=self._wait,
                stop=lambda _: self._remaining <= 0,
                before_sleep=lambda state: self._say(_error(state), state.upcoming_sleep),
                sleep=self._pause,
                reraise=True,
            )
        )

    def progress(self) -> None:
        """End the streak of failures: part of the work is done for good."""
        self._failures = 0

    @property
    def _remaining(self) -> float:
        return self._seconds - (self._clock() - self._since)

    def _count(self, state: RetryCallState) -> None:
        now = self._clock()
        if self._failures == 0:
            self._since = now
        elif not isinstance(_error(state), ServerError):
            self._since += now - self._resumed
        self._failures += 1

    def _wait(self, _: RetryCallState) -> float:
        # Doubling stops before its power could overflow a float.
        longest = min(FIRST_WAIT_SECONDS * 2 ** min(self._failures - 1, 30), MAX_WAIT_SECONDS)
        # The last attempt is made when the time is up, not a wait before.
        return min(random.uniform(longest / 2, longest), max(self._remaining, 0.0))  # noqa: S311 - no secret

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._resumed = self._clock()


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None  # noqa: S101 - tenacity asks after a failure only
    return error
