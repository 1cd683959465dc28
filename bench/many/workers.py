"""Workers that take payloads from one queue: threads with a connection each, or threads with a process each.

A process has the connection where rows are read, and a function applied, on all cores. Its thread hands it payloads,
and so knows what was lost with a process that died.
"""

import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from queue import Empty, SimpleQueue
from typing import Any

from bench.errors import ToolError
from bench.many.connection import CANCEL_SECONDS, Connection, Payload, QueryResult, Target, failed
from loaders.errors import ServerError

# What pickle raises for a value that cannot travel; the pipe stays whole.
UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError)


class Process:
    """A process with a connection; it is spawned, so that no thread or connection of the caller is copied into it."""

    def __init__(self, target: Target) -> None:
        try:
            pickle.dumps(target.function)
        except UNPICKLABLE as error:
            raise ToolError(
                f"function= cannot be sent to a process ({error}): define it with `def` at the top of a module."
            ) from error
        spawn = get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._child = spawn.Process(target=_serve, args=(there, target), daemon=True)
        self._child.start()
        there.close()  # the process holds the only other end, so that its death is seen
        try:
            ready = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ToolError(
                "A process ended before it could connect. Call run_queries below `if __name__ == '__main__':`, in a "
                'file, or use mode="threads".'
            ) from error
        if isinstance(ready, Exception):
            self.close()
            raise ready

    def run(self, index: int, payload: Payload) -> QueryResult:
        """Return a payload's result; ServerError where the process is lost, or its connection for good."""
        try:
            self._pipe.send((index, payload))
        except UNPICKLABLE as error:
            return failed(index, error)
        except OSError:
            pass  # the process has just ended, which is seen below
        try:
            result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ServerError("Its process ended while it ran; see whether memory was short.") from error
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, QueryResult)  # noqa: S101 - the process sends nothing else
        return result

    def cancel(self) -> None:
        """End what runs: on SIGTERM psycopg cancels the query and closes."""
        self._child.terminate()

    def close(self) -> None:
        """End the process, which ends by itself where it is idle."""
        self._pipe.close()
        self._child.join(CANCEL_SECONDS)
        self._child.terminate()
        self._child.join()


class WorkQueue:
    """The payloads to run, the results so far, and the sign to stop."""

    def __init__(self, payloads: Sequence[Payload]) -> None:
        self.todo: SimpleQueue[tuple[int, Payload]] = SimpleQueue()
        for numbered in enumerate(payloads):
            self.todo.put(numbered)
        # A result, the failure of a worker that could not begin, or None: one worker has ended.
        self.done: SimpleQueue[QueryResult | Exception | None] = SimpleQueue()
        self.is_stopped = threading.Event()

    def next(self) -> tuple[int, Payload] | None:
        """Take the next payload, None where there is none or the workers are to stop."""
        with suppress(Empty):
            return None if self.is_stopped.is_set() else self.todo.get_nowait()
        return None

    def results(self, workers: int) -> Iterator[QueryResult]:
        """Yield results until all workers have ended; what they left, since none could connect, has failed."""
        working = workers
        while working:
            one = self.done.get()
            if one is None:
                working -= 1
            elif isinstance(one, Exception):
                raise one
            else:
                yield one
        while (left := self.next()) is not None:
            yield failed(left[0], ServerError("Not run: no worker could connect again. See that the server is up."))


def run_by(
    connect: Callable[[Target], Connection | Process], target: Target, payloads: Sequence[Payload], workers: int
) -> Generator[QueryResult, None, None]:
    """Run payloads in threads, with what `connect` opens for each; psycopg waits without the interpreter's lock."""
    queue = WorkQueue(payloads)
    opened: list[Connection | Process] = []

    def work() -> None:
        try:
            with closing(connect(target)) as connection:
                opened.append(connection)
                while (taken := queue.next()) is not None:
                    try:
                        queue.done.put(connection.run(*taken))
                    except ServerError as error:
                        queue.done.put(failed(taken[0], error))
                        break
        except Exception as error:  # the caller's thread raises it
            queue.done.put(error)
        finally:
            queue.done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    try:
        for thread in threads:
            thread.start()
        yield from queue.results(workers)
    finally:
        queue.is_stopped.set()
        # Again and again: a query may begin just after it was told to end.
        while alive := [thread for thread in threads if thread.is_alive()]:
            for connection in opened:
                connection.cancel()
            alive[0].join(CANCEL_SECONDS)


def _serve(pipe: "Pipe[Any, Any]", target: Target) -> None:
    """Connect, then send the result of each payload that comes, until the pipe is closed or the connection lost."""
    # A terminal sends Ctrl-C to all processes: the caller's decides, and ends the others by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt, EOFError, OSError):
        try:
            with closing(Connection(target)) as connection:
                pipe.send(None)
                while True:
                    index, payload = pipe.recv()
                    result = connection.run(index, payload)
                    try:
                        pipe.send(result)
                    except UNPICKLABLE as error:
                        pipe.send(failed(index, error))
        except ServerError as error:
            pipe.send(error)
