"""A crew of processes: each asks what it is handed, so that rows are read on all cores.

The caller's process hands the next payload to whoever is done, and so knows what was lost with a process that died.
"""

import pickle
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from bench.errors import ToolError
from bench.many.connection import Asker, Payload, QueryResult, Results, Target, abandoned, failed
from loaders.errors import ServerError

# What pickle raises for a value that cannot travel; the pipe stays whole.
UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError)
END_SECONDS = 5


def ask_in_processes(target: Target, payloads: Sequence[Payload], workers: int) -> Results:
    """Ask by processes, spawned so that no thread or connection of the caller is copied into them."""
    spawn = get_context("spawn")
    members: list[SpawnProcess] = []
    pipes: list[Connection[Any, Any]] = []
    try:
        for _ in range(workers):
            here, there = spawn.Pipe()
            pipes.append(here)
            member = spawn.Process(target=_work, args=(there, target), daemon=True)
            member.start()
            there.close()  # the process holds the only other end, so that its death is seen
            members.append(member)
        yield from _hand_out(pipes, payloads)
    finally:
        for pipe in pipes:
            pipe.close()  # who is idle ends by itself
        for member in members:
            member.join(0.1)
            member.terminate()
        for member in members:
            member.join(END_SECONDS)
            member.kill()
            member.join()


def _hand_out(pipes: "Sequence[Connection[Any, Any]]", payloads: Sequence[Payload]) -> Iterator[QueryResult]:
    """Hand a payload to each process that is ready for one, and yield what comes back."""
    todo = iter(enumerate(payloads))
    asked: dict[Connection[Any, Any], int | None] = dict.fromkeys(pipes)
    while asked:
        for pipe in wait(list(asked)):
            assert isinstance(pipe, Connection)  # noqa: S101 - wait() returns what it was given
            index = asked.pop(pipe)
            try:
                received = pipe.recv()
            except (EOFError, OSError) as error:
                if index is None:
                    raise ToolError(
                        "A process ended before it could ask. Call run_queries below `if __name__ == '__main__':`, in "
                        'a file, or use mode="threads".'
                    ) from error
                yield failed(index, ToolError("Its process ended while it was asked; see whether memory was short."))
                continue
            if isinstance(received, Exception):
                raise received
            result, goes_on = received
            if result is not None:
                yield result
            if goes_on:
                yield from _hand_next(pipe, todo, asked)
    for index, _ in todo:
        yield abandoned(index)


def _hand_next(
    pipe: "Connection[Any, Any]", todo: Iterator[tuple[int, Payload]], asked: "dict[Connection[Any, Any], int | None]"
) -> Iterator[QueryResult]:
    """Send the next payload that can travel, and yield the failures of those that cannot."""
    for index, payload in todo:
        try:
            pipe.send((index, payload))
        except UNPICKLABLE as error:
            yield failed(index, error)
            continue
        except OSError:
            pass  # the process has just ended, which is seen where its answer is awaited
        asked[pipe] = index
        return


def _work(pipe: "Connection[Any, Any]", target: Target) -> None:
    """Connect, then ask what comes, and send (result, whether there can be a next one) until the pipe is closed."""
    # A terminal sends Ctrl-C to all processes: the caller's decides, and ends the others by SIGTERM, on which psycopg
    # cancels the query and closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt, EOFError, OSError):
        try:
            asker = Asker(target)
        except ServerError as error:
            pipe.send(error)
            return
        with closing(asker):
            pipe.send((None, True))
            while True:
                index, payload = pipe.recv()
                try:
                    sent = asker.ask(index, payload), True
                except ServerError as error:
                    sent = failed(index, error), False
                try:
                    pipe.send(sent)
                except UNPICKLABLE as error:
                    pipe.send((failed(index, error), True))
