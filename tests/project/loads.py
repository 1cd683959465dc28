"""Loads whose visibility a test turns off and on, as if they completed in an order of its own."""

import random
from collections.abc import Iterator, Sequence

import psycopg


def complete(connection: psycopg.Connection, load_id: int, *, is_complete: bool) -> None:
    """Turn a load's visibility on or off."""
    connection.execute(
        "update ops.loads set status = %s where load_id = %s", ["complete" if is_complete else "started", load_id]
    )


def complete_in_any_order(connection: psycopg.Connection, loads: Sequence[int], dice: random.Random) -> Iterator[None]:
    """Hide all loads, then let them complete in a random order, and yield after every one or two."""
    for load_id in loads:
        complete(connection, load_id, is_complete=False)
    order = dice.sample(loads, len(loads))
    while order:
        for _ in range(min(len(order), dice.randrange(1, 3))):
            complete(connection, order.pop(), is_complete=True)
        yield
