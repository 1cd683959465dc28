"""A proxy before a server that passes everything on a moment later, as a network of that delay does."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

BLOCK_BYTES = 64 * 1024


@contextmanager
def delaying_proxy(host: str, port: int, delay_ms: float) -> Iterator[int]:
    """Yield the port of a proxy on 127.0.0.1; an answer comes back `delay_ms` later, half of it each way.

    It is never early, and up to a millisecond late each way: asyncio's own loop rounds up to whole milliseconds, where
    uvloop rounds to the nearest one and counts from the time of its last wake-up.

    The proxy is a process of its own, so that it takes nothing of the clients' interpreter.
    """
    spawn = get_context("spawn")
    inbox, outbox = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_serve, args=(outbox, host, port, delay_ms / 2000), daemon=True)
    child.start()
    try:
        yield inbox.recv()
    finally:
        child.terminate()
        child.join()


def _serve(outbox: "Connection[Any, Any]", host: str, port: int, delay: float) -> None:
    # A terminal sends Ctrl-C to all processes: the caller's ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_listen(outbox, host, port, delay))


async def _listen(outbox: "Connection[Any, Any]", host: str, port: int, delay: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, back, delay))
            group.create_task(_pass_on(there, writer, delay))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    outbox.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read `delay` seconds later, while more is read: it delays, and does not throttle."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(BLOCK_BYTES)
            except ConnectionError:
                data = b""
            await waiting.put((loop.time() + delay, data))

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
    writer.close()
