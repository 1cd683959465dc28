"""Retries by a simulated clock: the waits, their cap, the end; and which errors are temporary."""

import signal
from collections.abc import Callable

import psycopg
import pytest

from loaders.errors import FileError, LoadError, ServerError
from loaders.retry import FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, Retries, is_temporary


class Clock:
    """A clock that only sleep and work move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def run(clock: Clock, work: Callable[[Retries], None], *, seconds: float = 600) -> list[float]:
    """Run work until it succeeds or the retries end; return the waits that were said."""
    said: list[float] = []
    retries = Retries(
        seconds,
        is_temporary=lambda error: is_temporary(error, was_reached=True),
        say=lambda _, wait: said.append(wait),
        sleep=clock.sleep,
        clock=lambda: clock.now,
    )
    for attempt in retries:
        with attempt:
            work(retries)
    return said


def away(_: Retries) -> None:
    raise ServerError("no connection")


def test_waits_double_up_to_the_cap_and_end_when_the_time_is_up() -> None:
    clock = Clock()
    with pytest.raises(ServerError):
        run(clock, away)
    assert sum(clock.waits) == pytest.approx(600)
    *full, _last = clock.waits
    for number, wait in enumerate(full):
        longest = min(FIRST_WAIT_SECONDS * 2**number, MAX_WAIT_SECONDS)
        assert longest / 2 <= wait <= longest
    assert max(clock.waits) <= MAX_WAIT_SECONDS
    assert len({round(wait, 6) for wait in full[8:]}) > 5, "waits at the cap have jitter, too"


def test_each_wait_is_said() -> None:
    clock = Clock()

    def comes_back(_: Retries) -> None:
        if clock.now < 1090:
            raise ServerError("no connection")

    assert run(clock, comes_back) == clock.waits
    assert 90 <= sum(clock.waits) <= 90 + MAX_WAIT_SECONDS


def test_the_time_of_failing_to_connect_counts() -> None:
    clock = Clock()

    def times_out(_: Retries) -> None:
        clock.now += 10
        raise ServerError("timeout")

    with pytest.raises(ServerError):
        run(clock, times_out)
    assert 600 <= clock.now - 1010 <= 610, "from the first failure on"


def test_the_time_of_an_attempt_that_has_the_server_does_not_count() -> None:
    """A second failover, long after the first, in the same load."""
    clock = Clock()
    endings = iter([psycopg.errors.AdminShutdown(), ServerError(), psycopg.errors.AdminShutdown(), ServerError(), None])

    def loads_for_an_hour(_: Retries) -> None:
        error = next(endings)
        if not isinstance(error, ServerError):
            clock.now += 3600
        if error is not None:
            raise error

    assert len(run(clock, loads_for_an_hour)) == 4


def test_progress_begins_a_new_streak() -> None:
    clock = Clock()
    attempts = 0

    def lands_one_load_each(retries: Retries) -> None:
        nonlocal attempts
        attempts += 1
        retries.progress()
        if attempts < 5000:
            raise psycopg.errors.SerializationFailure

    run(clock, lands_one_load_each)
    assert max(clock.waits) <= FIRST_WAIT_SECONDS


def test_no_patience_is_one_attempt() -> None:
    clock = Clock()
    with pytest.raises(ServerError):
        run(clock, away, seconds=0)
    assert clock.waits == []


def test_an_interrupt_ends_a_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.retry.FIRST_WAIT_SECONDS", 3600.0)
    monkeypatch.setattr("loaders.retry.MAX_WAIT_SECONDS", 3600.0)
    attempts = 0

    def interrupted(_: int, __: object) -> None:
        raise KeyboardInterrupt

    def try_again() -> None:
        nonlocal attempts
        for attempt in Retries(3600, is_temporary=lambda _: True, say=lambda _, __: signal.alarm(1) and None):
            with attempt:
                attempts += 1
                raise ServerError

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            try_again()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert attempts == 1


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (psycopg.OperationalError(), True),  # the connection broke
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.DatabaseDropped(), False),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.errors.InsufficientPrivilege(), False),
        (psycopg.InterfaceError(), False),
        (FileError(), False),
        (LoadError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_which_errors_are_temporary(error: Exception, temporary: bool) -> None:
    assert is_temporary(error, was_reached=True) is temporary


def test_a_server_that_was_never_reached_is_an_error_at_once() -> None:
    assert is_temporary(ServerError(), was_reached=True)
    assert not is_temporary(ServerError(), was_reached=False)
