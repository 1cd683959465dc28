"""Crews of threads, or of tasks on one event loop, that take payloads from one queue."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from queue import Empty, SimpleQueue

import psycopg

from bench.many.connection import Asker, Payload, QueryResult, Results, Target, TaskAsker, abandoned, failed
from bench.queries.worker import run_async
from loaders.errors import ServerError

CANCEL_SECONDS = 0.2


class Shift:
    """The queue that a crew works off, what it has done, and the sign to stop."""

    def __init__(self, payloads: Sequence[Payload]) -> None:
        self.todo: SimpleQueue[tuple[int, Payload]] = SimpleQueue()
        for numbered in enumerate(payloads):
            self.todo.put(numbered)
        # A result, the failure of a worker that could not begin, or None: one worker has ended.
        self.done: SimpleQueue[QueryResult | Exception | None] = SimpleQueue()
        self.is_over = threading.Event()

    def next(self) -> tuple[int, Payload] | None:
        """Take the next payload, None where there is none or the crew is to stop."""
        with suppress(Empty):
            return None if self.is_over.is_set() else self.todo.get_nowait()
        return None

    def results(self, workers: int) -> Iterator[QueryResult]:
        """Yield results until all workers have ended; what they left, since no connection was to be had, has failed."""
        working = workers
        while working:
            one = self.done.get()
            if one is None:
                working -= 1
            elif isinstance(one, Exception):
                raise one
            else:
                yield one
        with suppress(Empty):
            while True:
                index, _ = self.todo.get_nowait()
                yield abandoned(index)


def ask_in_threads(target: Target, payloads: Sequence[Payload], workers: int) -> Results:
    """Ask by threads, a connection each; psycopg waits for the server without the interpreter's lock."""
    shift = Shift(payloads)
    askers: list[Asker] = []
    threads = [threading.Thread(target=_work, args=(shift, target, askers), daemon=True) for _ in range(workers)]
    try:
        for thread in threads:
            thread.start()
        yield from shift.results(workers)
    finally:
        shift.is_over.set()
        # Again and again: a query may begin just after it was told to end.
        while alive := [thread for thread in threads if thread.is_alive()]:
            for asker in askers:
                with suppress(psycopg.Error):
                    asker.connection.cancel_safe(timeout=CANCEL_SECONDS)
            alive[0].join(CANCEL_SECONDS)


def ask_in_tasks(target: Target, payloads: Sequence[Payload], workers: int) -> Results:
    """Ask by tasks of one event loop, in a thread of its own: it goes on while the caller looks at results."""
    shift = Shift(payloads)
    stops: list[Callable[[], object]] = []
    thread = threading.Thread(target=run_async, args=(_run_tasks(shift, target, workers, stops),), daemon=True)
    thread.start()
    try:
        yield from shift.results(workers)
    finally:
        shift.is_over.set()
        while thread.is_alive():
            for stop in stops:
                with suppress(RuntimeError):  # the loop has just ended
                    stop()
            thread.join(CANCEL_SECONDS)


def _work(shift: Shift, target: Target, askers: list[Asker]) -> None:
    """Ask one payload after the other on a connection of one's own."""
    try:
        asker = Asker(target)
        askers.append(asker)
        with closing(asker):
            while (taken := shift.next()) is not None:
                try:
                    shift.done.put(asker.ask(*taken))
                except ServerError as error:
                    shift.done.put(failed(taken[0], error))
                    break
    except Exception as error:  # the caller's thread raises it
        shift.done.put(error)
    finally:
        shift.done.put(None)


async def _run_tasks(shift: Shift, target: Target, workers: int, stops: list[Callable[[], object]]) -> None:
    """Run the tasks to their end."""
    await asyncio.gather(*(_work_as_task(shift, target, stops) for _ in range(workers)), return_exceptions=True)


async def _work_as_task(shift: Shift, target: Target, stops: list[Callable[[], object]]) -> None:
    """Ask one payload after the other on a connection of one's own; to cancel the task cancels its query."""
    try:
        asker = await TaskAsker.open(target)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        # Not earlier: a connection that is being made is not left halfway.
        stops.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
        try:
            while (taken := shift.next()) is not None:
                try:
                    shift.done.put(await asker.ask(*taken))
                except ServerError as error:
                    shift.done.put(failed(taken[0], error))
                    break
        finally:
            await asker.close()
    except Exception as error:
        shift.done.put(error)
    finally:
        shift.done.put(None)
