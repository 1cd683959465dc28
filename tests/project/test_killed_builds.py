"""Kill -9 of dbt while it builds: each table is as it was or as it should be, and the next build heals the rest."""

import random
import signal
import time
from collections import Counter

import psycopg
import pytest

from tests.bench.support import sessions
from tests.loaders.oracle import count
from tests.project.conftest import Bronze, Dbt
from tests.project.gym_feed import SALES, Feed
from tests.waiting import wait_until

AT_WORK = (
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and application_name = 'dbt' and state <> 'idle'"
)
RELATIONS = (
    "select nspname, relname from pg_class inner join pg_namespace as namespace on namespace.oid = relnamespace "
    "where nspname in ('core', 'staging', 'marts') and relkind in ('r', 'p', 'v', 'm') order by 1, 2"
)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_sigkill_of_dbt_at_random_moments(dbt: Dbt, bronze: Bronze, connection: psycopg.Connection, kills: int) -> None:
    """Increments and full refreshes in turn, each killed at a random moment; no build in between mends anything."""
    dice, feed = random.Random(kills), Feed(bronze, SALES)
    bronze.load()
    deliver(feed, dice, 1)
    dbt.succeed("run", "--select", "source:evo.sales+")
    relations = connection.execute(RELATIONS).fetchall()
    counts: Counter[str] = Counter()
    for run in range(2, 2 + 5 * kills):
        # Go on while every kill came between two models or after the last one.
        if counts["killed"] >= kills and counts["killed at work"] and counts["tables found old"]:
            break
        before = SALES.core(connection)
        deliver(feed, dice, run)
        options = ["--full-refresh"] if counts["killed"] % 2 else []
        counts.update(kill_a_build(dbt, connection, dice, options))
        core, after = SALES.core(connection), feed.expected()
        for table, rows in core.items():
            assert rows in (before[table], after[table]), f"{table} is neither the old nor the new one: {options}"
            counts["tables found new" if rows == after[table] else "tables found old"] += 1

    for options in ([], ["--full-refresh"]):
        dbt.succeed("run", "--select", "source:evo.sales+", *options)
        assert SALES.core(connection) == feed.expected()
    assert connection.execute(RELATIONS).fetchall() == relations, "a killed build left a relation"
    print("\n" + ", ".join(f"{what}: {times}" for what, times in sorted(counts.items())))
    assert counts["killed"] >= kills
    assert counts["killed at work"]
    assert counts["tables found old"]


def deliver(feed: Feed, dice: random.Random, run: int) -> None:
    """Land a run of so many records that its build takes some time, and one with keys that no other run has."""
    own = {
        "idSale": 100 + run,
        "totalValue": 1,
        "saleItens": [{"idSaleItem": 100 + run, "itemName": "Towel", "quantity": 1}],
        "receivables": [{"idReceivable": 100 + run, "ammount": 10, "status": "Paid"}],
    }
    feed.write(run, 1, [*(feed.entity.draw(dice) for _ in range(3000)), own])
    feed.load()


def kill_a_build(dbt: Dbt, connection: psycopg.Connection, dice: random.Random, options: list[str]) -> dict[str, int]:
    """Kill dbt soon after it began with some model; return whether the kill ended it, and while a session worked."""
    model = dice.choice(list(SALES.tables))
    process = dbt.start("--quiet", "run", "--select", *SALES.tables, *options)
    try:
        began = f"{AT_WORK} and position('\"model.ingot.{model}\"' in query) > 0"
        wait_until(lambda: process.poll() is not None or count(connection, began) > 0)
        time.sleep(dice.random() * 0.3)
    finally:
        process.kill()
        at_work = count(connection, AT_WORK)
        said, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    # The server goes on with a statement until it finds out that dbt is gone.
    wait_until(lambda: sessions(connection, "dbt") == 0)
    killed = process.returncode == -signal.SIGKILL
    return {"killed": killed, "killed at work": killed and at_work > 0}
